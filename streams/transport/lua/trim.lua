#!lua flags=allow-oom
-- Trims streams by XTRIM MINID: up to what the slowest of the named groups still needs, and nothing that is too young.
-- Whole nodes only ('~'), which is what frees memory; no entry is ever deleted out of the middle.
-- ARGV: key of the turn, its life in ms (0: no turn is taken), retention in ms, most entries per stream,
--   then for each stream: its name, number of groups, these. A stream without groups is trimmed by age alone.
-- Returns {removed, streams with more to remove}, or {-1, 0} when somebody else had a turn so lately.
local turn, turn_ms, retention_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if turn_ms > 0 and not redis.call('SET', turn, '1', 'NX', 'PX', turn_ms) then return {-1, 0} end
local time = redis.call('TIME')
local oldest_kept_ms = time[1] * 1000 + math.floor(time[2] / 1000) - retention_ms

local function parts(id)
  local ms, sequence = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(sequence)
end

local function older(a, b)
  local a_ms, a_sequence = parts(a)
  local b_ms, b_sequence = parts(b)
  return a_ms < b_ms or (a_ms == b_ms and a_sequence < b_sequence)
end

-- What a group that is not there would need: everything, since it begins at the first entry.
local BEGINNING = '0-0'

local function last_delivered_ids(stream)
  local known, found = redis.pcall('XINFO', 'GROUPS', stream), {}
  for _, group in ipairs(known.err and {} or known) do
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then found[group[2]] = group[i + 1] end
    end
  end
  return found
end

local function needed(stream, group, delivered)
  if not delivered[group] then return BEGINNING end
  local pending = redis.call('XPENDING', stream, group)
  return pending[1] > 0 and pending[2] or delivered[group]
end

local removed, unfinished, at = 0, 0, 5
while at < #ARGV do
  local stream, groups = ARGV[at], tonumber(ARGV[at + 1])
  local oldest_needed = string.format('%.0f-0', math.max(0, oldest_kept_ms))
  local delivered = groups > 0 and last_delivered_ids(stream)
  for i = at + 2, at + 1 + groups do
    local id = needed(stream, ARGV[i], delivered)
    if older(id, oldest_needed) then oldest_needed = id end
  end
  if oldest_needed ~= BEGINNING then
    local count = redis.pcall('XTRIM', stream, 'MINID', '~', oldest_needed, 'LIMIT', most)
    if type(count) == 'number' then
      removed = removed + count
      if count >= most then unfinished = unfinished + 1 end
    end
  end
  at = at + 2 + groups
end
return {removed, unfinished}
