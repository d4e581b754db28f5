#!lua flags=allow-oom
-- Takes up to `room` entries for one consumer, source by source: those whose lease ran out or whose consumer is known to
-- be dead (when asked to sweep), then new ones. One XREADGROUP over several streams would take `room` from each of them.
-- ARGV: group, consumer, room, lease in ms (0: no sweep), 'new' or '' (nothing new), number of dead consumers, these,
--   then source and sweep cursor, alternating.
-- Returns {{source, id, deliveries, {field, value, ...}}, ...}, the new cursors in the order of the sources,
--   ms until the next lease may run out, and the consumers that hold entries.
local group, consumer, room, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
-- Pending entries looked at in one call at most: SCANS pages; the rest waits for the next call.
local PAGE, SCANS = 100, 20
local first_source = 7 + tonumber(ARGV[6])
local dead, owners, seen = {}, {}, {}
for i = 7, first_source - 1 do dead[ARGV[i]] = true end
local taken, cursors, soonest_ms = {}, {}, lease_ms

local function claim(source, id, deliveries)
  -- What was trimmed meanwhile is not claimed: the server takes it off the pending list.
  local claimed = redis.call('XCLAIM', source, group, consumer, 0, id)[1]
  if claimed then taken[#taken + 1] = {source, id, deliveries + 1, claimed[2]} end
end

local function look_at(source, row)
  local id, owner, left_ms = row[1], row[2], lease_ms - row[3]
  if left_ms > 0 and not dead[owner] then
    soonest_ms = math.min(soonest_ms, left_ms)
    if not seen[owner] then owners[#owners + 1], seen[owner] = owner, true end
    return true
  end
  if #taken >= room then return false end
  claim(source, id, row[4])
  return true
end

local function sweep(source, cursor)
  for _ = 1, SCANS do
    local rows = redis.call('XPENDING', source, group, cursor, '+', PAGE)
    for _, row in ipairs(rows) do
      if not look_at(source, row) then return cursor end
      cursor = '(' .. row[1]
    end
    if #rows < PAGE then return '-' end
  end
  return cursor
end

for i = first_source, #ARGV, 2 do
  cursors[#cursors + 1] = lease_ms > 0 and sweep(ARGV[i], ARGV[i + 1]) or ARGV[i + 1]
end
for i = first_source, ARGV[5] == 'new' and #ARGV or 0, 2 do
  local source = ARGV[i]
  if #taken < room then
    local reply = redis.call(
      'XREADGROUP', 'GROUP', group, consumer, 'COUNT', room - #taken, 'STREAMS', source, '>')
    for _, entry in ipairs(reply and reply[1][2] or {}) do
      taken[#taken + 1] = {source, entry[1], 1, entry[2]}
    end
  end
end
return {taken, cursors, soonest_ms, owners}
