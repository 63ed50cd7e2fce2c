"""The Lua that opens what is locked: PBKDF2 with HMAC-BLAKE2s, written for the bit operations that the host turns out to have.

As in the loader, the kernel is written once, with the macro `mix(x,y,n)` for x = (x xor y) rotated left by n, where y may be a
sum, and compiled by the host. Which operations are there, and right, its hash of "abc" tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moonlatch.obfuscator.guards.lock import ROUNDS
from moonlatch.obfuscator.preparation.macros import LONGEST_OPENER
from moonlatch.obfuscator.syntax import tree as s
from moonlatch.obfuscator.syntax.parser import parse_written
from moonlatch.obfuscator.syntax.printer_expressions import unwrapped
from moonlatch.obfuscator.syntax.tree import NO_LINE

_SIGMA = (
    "0123456789abcdefea489fd61c02b753b8c052fdae3671947931dcbe265a40f8905724afe1bc683d"
    "2c6a0b834d75fe19c51fed4a0763928bdb7ec13950f4862a6fe9b308c2d714a5a2847615fb9e3cd0"
)
"""Which words of a block each of the ten rounds takes."""

# Of each kind of operations: what goes before the kernel, and what stands for a `mix`.
# One fault in the first part, where these are not there: hundreds of them in the kernel are beyond some compilers.
_NATIVE = "local q=6~3 ", "q=(%1~(%2))&0xffffffff %1=q<<%3|q>>(32-%3)"
_BIT = "local b,r=bit.bxor,bit.rol ", "%1=r(b(%1,%2),%3)"
_BIT32 = "local b,r=bit32.bxor,bit32.lrotate ", "%1=r(b(%1,%2),%3)"
# XOR by a table of all pairs of bytes.
_PAIRS = (
    "local s,t={},{}for a=0,15 do for b=0,15 do local x,k,c,d=0,1,a,b for _=1,4 do if c%2~=d%2 then x=x+k end "
    "c,d,k=(c-c%2)/2,(d-d%2)/2,k*2 end s[a*16+b]=x end end "
    "for a=0,255 do local l=a%16 for b=0,255 do local k=b%16 t[a*256+b]=s[a-l+(b-k)/16]*16+s[l*16+k]end end "
    "local function b(a,b)local c,d=a%65536,b%65536 local e,f=c%256,d%256 a,b=(a-c)/65536,(b-d)/65536 "
    "local g,h=a%256,b%256 return t[e*256+f]+t[c-e+(d-f)/256]*256+t[g*256+h]*65536+t[a-g+(b-h)/256]*16777216 end "
)
_ARITHMETIC = _PAIRS, "q=b(%1,(%2)%%4294967296)%1=q%%2^(32-%3)*2^%3+(q-q%%2^(32-%3))/2^(32-%3)"
_OPERATIONS = ",".join(f'{{"{head}","{mix}"}}' for head, mix in (_NATIVE, _BIT, _BIT32, _ARITHMETIC))

_OPEN = """
local OPENS=(function()
    local _lines,_texts=0,0
    local _byte,_char,_rep,_sub,_gsub,_match=string.byte,string.char,string.rep,string.sub,string.gsub,string.match
    local _concat,_type,_pcall,_error,_make=table.concat,type,pcall,error,setmetatable
    local _sigma,_hex="SIGMA","0123456789abcdef"
    local _places={"048c","159d","26ae","37bf","05af","16bc","278d","349e"}
    local _initial={1795745351,3144134277,1013904242,2773480762,1359893119,2600822924,528734635,1541459225}
    local _operations={OPERATIONS}
    local _given
    local _finders={function() return _given end,function() return loadstring end,function() return load end,function() return getgenv().loadstring end}
    local _compile,_compress,_xor,_environment,_set,_name
    local _known={}

    local function _copy(_state)
        return {_state[1],_state[2],_state[3],_state[4],_state[5],_state[6],_state[7],_state[8],0,0,0,0,0,0,0,0}
    end

    -- Hashes one block of 16 words into the state; a last one is told apart by its flag.
    local function _kernel()
        local _parts={}
        local function _add(_text) _parts[#_parts+1]=_text end
        _add("return function(h,m,n,z)local q ")
        for _at=1,16 do
            local _digit=_sub(_hex,_at,_at)
            local _from=_at<9 and "h[".._at.."]" or _at==9 and "1779033703" or "i[".._at-8 .."]"
            _add("local m".._digit..",v".._digit.."=m[".._at.."],".._from.." ")
        end
        _add("mix(vc,n,0)mix(ve,z,0)")
        for _at=0,79 do
            local _place,_two=_places[_at%8+1],_at*2+1
            _add((_gsub("vA=vA+vB+mX mix(vD,vA,16)vC=vC+vD mix(vB,vC,20)vA=vA+vB+mY mix(vD,vA,24)vC=vC+vD mix(vB,vC,25)","%u",{
                A=_sub(_place,1,1),B=_sub(_place,2,2),C=_sub(_place,3,3),D=_sub(_place,4,4),
                X=_sub(_sigma,_two,_two),Y=_sub(_sigma,_two+1,_two+1)})))
        end
        for _at=1,8 do
            local _word="h[".._at.."]"
            _add("do local w=".._word.." mix(w,v".._sub(_hex,_at,_at)..",0)mix(w,v".._sub(_hex,_at+8,_at+8)..",0)".._word.."=w end ")
        end
        _add("end,function(x,y)local q mix(x,y,0)return x end,function()return getfenv and getfenv(2)end,setfenv")
        return _concat(_parts)
    end

    local function _prepare()
        for _at=1,#_finders do
            local _ok,_found=_pcall(_finders[_at])
            if _ok and _found then
                local _chunk,_answer
                _ok,_chunk=_pcall(_found,"return 42")
                if _ok and _chunk then _ok,_answer=_pcall(_chunk) end
                if _ok and _answer==42 then _compile=_found break end
            end
        end
        local _text=_compile and _kernel()
        for _at=1,_compile and #_operations or 0 do
            local _head,_mix=_operations[_at][1],_operations[_at][2]
            local _ok,_chunk=_pcall(_compile,_head)
            if _ok and _chunk then _ok,_chunk=_pcall(_compile,_head.."local i=... ".._gsub(_text,"mix%((%w+),(%w+),(%d+)%)",_mix.." ")) end
            if _ok and _chunk then
                local _first,_second,_third,_fourth
                _ok,_first,_second,_third,_fourth=_pcall(_chunk,_initial)
                local _state,_block=_copy(_initial),_copy({6513249,0,0,0,0,0,0,0})
                if _ok and _pcall(_first,_state,_block,3,4294967295) and _state[1]%4294967296==2355006544 and _state[8]%4294967296==2186897286 then
                    _compress,_xor,_environment,_set=_first,_second,_third,_fourth
                    break
                end
            end
        end
        if not _compress then _error("this host cannot compile Lua, without which a guarded function cannot be opened",0) end
        local _,_message=_pcall(function() _error("") end)
        _name="="..(_type(_message)=="string" and _match(_message,"^(.*):%d+: ?$") or "guarded")
    end

    local function _block(_text,_from)
        local _words={}
        for _at=1,16 do
            local _1,_2,_3,_4=_byte(_text,_from+_at*4-4,_from+_at*4-1)
            _words[_at]=(_1 or 0)+(_2 or 0)*256+(_3 or 0)*65536+(_4 or 0)*16777216
        end
        return _words
    end

    local function _hashed(_state,_words,_length)
        _state=_copy(_state)
        _compress(_state,_words,_length,4294967295)
        return _state
    end

    -- The state after the first block of HMAC's inner or outer hash.
    local function _padded(_key,_pad)
        local _state,_words=_copy(_initial),{}
        for _at=1,16 do _words[_at]=_xor(_key[_at],_pad) end
        _compress(_state,_words,64,0)
        return _state
    end

    local function _word(_text,_at)
        local _1,_2,_3,_4,_5=_byte(_text,_at*5+1,_at*5+5)
        return (((_1*95+_2)*95+_3)*95+_4)*95+_5-2634147872
    end

    local function _derived(_input,_text)
        local _key,_length=_copy(_initial),#_input
        for _from=1,_length-64,64 do _compress(_key,_block(_input,_from),_from+63,0) end
        _key=_hashed(_key,_block(_input,_length-(_length-1)%64),_length)
        local _inner,_outer=_padded(_key,909522486),_padded(_key,1549556828)
        local _salted=_copy({_word(_text,0),_word(_text,1),_word(_text,2),_word(_text,3),16777216,0,0,0})
        local _last=_hashed(_outer,_hashed(_inner,_salted,84),96)
        local _result=_copy(_last)
        for _=2,ROUNDS do
            _last=_hashed(_outer,_hashed(_inner,_last,96),96)
            for _at=1,8 do _result[_at]=_xor(_result[_at],_last[_at]) end
        end
        return _result
    end

    -- What is locked, if that is the input which opens it.
    local function _opened(_input,_text)
        local _key,_parts=_derived(_input,_text),{}
        for _number=0,(#_text/5-12)/8 do
            _key[9]=_number
            local _stream=_hashed(_initial,_key,36)
            for _at=1,8 do
                local _value=_xor(_word(_text,_number*8+3+_at),_stream[_at])%4294967296
                if _number>0 then
                    local _1=_value%256
                    _value=(_value-_1)/256
                    local _2=_value%256
                    _value=(_value-_2)/256
                    local _3=_value%256
                    _parts[#_parts+1]=_char(_1,_2,_3,(_value-_3)/256)
                elseif _value~=0 then
                    return nil
                end
            end
        end
        return _concat(_parts)
    end

    local function _cell(_get,_put) return _make({},{__index=_get,__newindex=_put}) end

    return function(_place,_input,_own,_load,...)
        if _type(_input)~="string" or #_input>LONGEST then return nil end
        if not _compress then _given=_load _prepare() end
        local _one=_known[_place]
        if not _one or _one[1]~=_input then
            local _text=_opened(_input,_texts[_place])
            if not _text then return nil end
            _one={_input,_rep("\\n",_lines).._text}
        end
        local _chunk,_problem
        _own=_own or _environment() or _ENV
        if _set or not _own then _chunk,_problem=_compile(_one[2],_name) else _chunk,_problem=_compile(_one[2],_name,"t",_own) end
        if not _chunk then _error("a guarded function does not compile: "..tostring(_problem),0) end
        if _set and _own then _set(_chunk,_own) end
        _known[_place]=_one
        return _chunk(_cell,...)
    end
end)()
local CALLS=function(...)
    local _function=OPENS(...)
    if _function then return _function() end
end
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """Statements for the beginning of a chunk, the functions that are finished in them, and the number of lines that what
    they open stands below, which is zero until the chunk has been printed.
    """

    statements: list[s.Statement]
    functions: set[s.Function]
    lines: s.Number


def opening(opens: str, calls: str, texts: Sequence[bytes]) -> Opening:
    """Statements that declare two functions.

    `opens` takes the place of a locked text, counted from 1, an input, the environment of what calls it or nil for its own,
    what compiles Lua or nil where that is to be found, and what the text's chunk takes; it gives the function that this returns, or nil for another input. `calls` calls that function.
    """
    source = _OPEN.replace("OPENS", opens).replace("CALLS", calls)
    source = source.replace("OPERATIONS", _OPERATIONS).replace("SIGMA", _SIGMA)
    source = source.replace("ROUNDS", str(ROUNDS)).replace("LONGEST", str(LONGEST_OPENER))
    statements = parse_written(source).body.body
    (open_it,), (call_it,) = (one.values for one in statements if isinstance(one, s.Local))
    assert isinstance(call_it, s.Function)
    assert isinstance(open_it, s.Call)
    made = unwrapped(open_it.function)
    assert isinstance(made, s.Function)
    lines = s.Number("0", 0.0, NO_LINE)
    items: list[s.TableItem] = [s.PositionalItem(s.String(text, NO_LINE), NO_LINE) for text in texts]
    first = made.body.body[0]
    assert isinstance(first, s.Local)
    first.values = [lines, s.Table(items, NO_LINE)]
    return Opening(statements, {made, call_it}, lines)
