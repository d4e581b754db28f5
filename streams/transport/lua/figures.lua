#!lua flags=allow-oom
-- How much a group has to do on each of its streams. What the server does not know is '' and never 0.
-- ARGV: group, then the streams.
-- Returns for each stream: not yet delivered or '', pending, age in ms of the oldest pending entry or ''.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
for i = 2, #ARGV do
  local stream, undelivered = ARGV[i], nil
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  local pending = redis.pcall('XPENDING', stream, ARGV[1])
  for _, group in ipairs(groups.err and {} or groups) do
    for n = 1, #group, 2 do
      if group[2] == ARGV[1] and group[n] == 'lag' then undelivered = group[n + 1] end
    end
  end
  local count = not pending.err and pending[1] or 0
  local oldest_ms = count > 0 and now_ms - tonumber(string.match(pending[2], '^%d+'))
  found[#found + 1] = {undelivered or '', count, oldest_ms or ''}
end
return found
