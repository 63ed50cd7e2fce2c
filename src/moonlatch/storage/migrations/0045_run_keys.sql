-- What the run keys of a build are congruent to: a prime and eight residues, big-endian, of 32 bits each. Null for a build that needs none.
alter table builds add column run_lock bytea;
