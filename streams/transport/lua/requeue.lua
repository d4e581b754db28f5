#!lua flags=allow-oom
-- Puts the fields of a dead letter into a lane, once: the mark says so to whoever tries again.
-- ARGV: stream of the dead letters, id, key of the mark, its life in ms, lane, number of fields and values, these.
-- Returns the new entry's id, 'again' where it was requeued before, 'missing' where there is no such letter.
if not redis.call('XRANGE', ARGV[1], ARGV[2], ARGV[2])[1] then return 'missing' end
if redis.call('EXISTS', ARGV[3]) == 1 then return 'again' end
local id = redis.call('XADD', ARGV[5], '*', unpack(ARGV, 7))
redis.call('SET', ARGV[3], id, 'PX', ARGV[4])
return id
