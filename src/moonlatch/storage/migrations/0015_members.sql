-- People of an account. Secrets are hashed (passwords by argon2id, random ones by SHA-256) or sealed under the master key.
create table members (
    id text primary key,
    account_id text not null references accounts (id) on delete cascade,
    name text not null,
    sign_in_name text not null unique,
    role text not null,
    projects text,
    password_hash text,
    totp_secret bytea,
    totp_enabled boolean not null default false,
    totp_step bigint not null default 0,
    joined_at bigint,
    disabled_at bigint,
    invited_by text not null,
    created_at bigint not null,
    signed_in_at bigint
);
create index members_of_account on members (account_id, created_at, id);

-- A link that lets a member choose a password, once: one at a time, so a new one ends the one before.
create table member_links (
    member_id text primary key references members (id) on delete cascade,
    hash bytea not null unique,
    created_at bigint not null,
    expires_at bigint not null
);
create index member_links_by_expiry on member_links (expires_at);

create table member_sessions (
    id text primary key,
    member_id text not null references members (id) on delete cascade,
    hash bytea not null unique,
    created_at bigint not null,
    last_used_at bigint not null,
    address text not null,
    user_agent text not null
);
create index member_sessions_of_member on member_sessions (member_id, created_at, id);
create index member_sessions_by_use on member_sessions (last_used_at);
create index member_sessions_by_age on member_sessions (created_at);

create table recovery_codes (
    member_id text not null references members (id) on delete cascade,
    hash bytea not null,
    primary key (member_id, hash)
);

create table passkeys (
    id text primary key,
    member_id text not null references members (id) on delete cascade,
    name text not null,
    credential_id bytea not null unique,
    public_key bytea not null,
    sign_count bigint not null,
    created_at bigint not null,
    last_used_at bigint
);
create index passkeys_of_member on passkeys (member_id, created_at, id);

-- What a browser is to answer with a passkey: for one member's new one, or for whoever signs in.
create table passkey_challenges (
    id text primary key,
    challenge bytea not null,
    member_id text references members (id) on delete cascade,
    expires_at bigint not null
);
create index passkey_challenges_by_expiry on passkey_challenges (expires_at);
create index passkey_challenges_of_member on passkey_challenges (member_id) where member_id is not null;

-- Whose token it is: it may do no more than they may. No reference, which would make it nobody's, and so unlimited, when they go.
alter table tokens add column member_id text;
create index tokens_of_member on tokens (member_id) where member_id is not null;
