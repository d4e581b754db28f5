#!lua flags=allow-oom
-- Moves delayed entries that are due to their lanes; each is in one of the two places, never in both or neither.
-- ARGV: the sorted set, how many to move at most.
-- Returns the milliseconds until the next one is due, -1 where there is none.
local later, most = ARGV[1], ARGV[2]
local function next_due()
  return redis.call('ZRANGE', later, '-inf', '(+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')[2]
end
-- The usual answer, and the cheapest.
if not next_due() then return -1 end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for _, member in ipairs(redis.call('ZRANGE', later, '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, most)) do
  local readable, delayed = pcall(cmsgpack.unpack, member)
  if readable and type(delayed) == 'table' and type(delayed[3]) == 'table' then
    redis.call('XADD', delayed[1], '*', unpack(delayed[3]))
    redis.call('ZREM', later, member)
  else
    -- Not written by us: kept for a person to look at, out of the way.
    redis.call('ZADD', later, '+inf', member)
  end
end
local due_ms = next_due()
if not due_ms then return -1 end
return math.max(0, math.ceil(tonumber(due_ms) - now_ms))
