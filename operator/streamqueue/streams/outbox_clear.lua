-- Remove rows that were delivered; an outbox that is empty leaves nothing behind.
-- KEYS: outbox, set of outboxes. ARGV: the outbox's target, then ids of rows. Reply: how many rows are left.
local outbox, outboxes, target = KEYS[1], KEYS[2], ARGV[1]
for i = 2, #ARGV do redis.call('XDEL', outbox, ARGV[i]) end
local left = redis.call('XLEN', outbox)
if left == 0 then
  redis.call('DEL', outbox)
  redis.call('SREM', outboxes, target)
end
return left
