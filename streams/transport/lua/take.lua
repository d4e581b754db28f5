#!lua flags=allow-oom
-- Takes up to `room` entries for one consumer, source by source: those whose lease ran out (when asked to sweep), then
-- new ones. One XREADGROUP over several streams would take up to `room` from each of them.
-- ARGV: group, consumer, room, lease in ms (0: no sweep), then source and sweep cursor, alternating.
-- Returns {{source, id, deliveries, {field, value, ...}}, ...} and the new cursors in the order of the sources.
local group, consumer, room, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- XAUTOCLAIM looks at ten times COUNT entries; the rest of a long list waits for the next sweep.
local SCANS = 20
local taken, cursors = {}, {}

local function sweep(source, cursor)
  for _ = 1, SCANS do
    if #taken >= room then break end
    local reply = redis.call('XAUTOCLAIM', source, group, consumer, lease_ms, cursor, 'COUNT', room - #taken)
    cursor = reply[1]
    for _, entry in ipairs(reply[2]) do
      local pending = redis.call('XPENDING', source, group, entry[1], entry[1], 1)
      taken[#taken + 1] = {source, entry[1], pending[1][4], entry[2]}
    end
    if cursor == '0-0' then break end
  end
  return cursor
end

for i = 5, #ARGV, 2 do
  cursors[#cursors + 1] = lease_ms > 0 and sweep(ARGV[i], ARGV[i + 1]) or ARGV[i + 1]
end
for i = 5, #ARGV, 2 do
  local source = ARGV[i]
  if #taken < room then
    local reply = redis.call(
      'XREADGROUP', 'GROUP', group, consumer, 'COUNT', room - #taken, 'STREAMS', source, '>')
    for _, entry in ipairs(reply and reply[1][2] or {}) do
      taken[#taken + 1] = {source, entry[1], 1, entry[2]}
    end
  end
end
return {taken, cursors}
