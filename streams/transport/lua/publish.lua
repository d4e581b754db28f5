#!lua flags=allow-oom
-- Appends events and remembers their ids under the caller's token: the same call again appends nothing.
-- ARGV: key of the token, its life in ms, then for each event: stream, number of fields and values, fields and values.
-- Returns the ids, those of the first call if this is a repetition.
local token, life_ms = ARGV[1], ARGV[2]
local known = redis.call('GET', token)
if known then return cmsgpack.unpack(known) end
local ids, at = {}, 3
while at < #ARGV do
  local last = at + 1 + tonumber(ARGV[at + 1])
  ids[#ids + 1] = redis.call('XADD', ARGV[at], '*', unpack(ARGV, at + 2, last))
  at = last + 1
end
redis.call('SET', token, cmsgpack.pack(ids), 'PX', life_ms)
return ids
