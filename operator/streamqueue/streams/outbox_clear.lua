-- Remove rows that were delivered; an outbox that is empty leaves nothing behind.
-- KEYS: outbox, set of outboxes. ARGV: the outbox's target, then per row: id, mark. Reply: how many rows are left.
-- An outbox that another relay emptied may have begun anew in the same millisecond, with the ids of its last rows: a row
-- is the one that was delivered by its mark alone.
local outbox, outboxes, target = KEYS[1], KEYS[2], ARGV[1]

for i = 2, #ARGV, 2 do
  local row = redis.call('XRANGE', outbox, ARGV[i], ARGV[i])[1]
  if row and fields(row[2])['sq-row'] == ARGV[i + 1] then redis.call('XDEL', outbox, ARGV[i]) end
end
local left = redis.call('XLEN', outbox)
if left == 0 then
  redis.call('DEL', outbox)
  redis.call('SREM', outboxes, target)
end
return left
