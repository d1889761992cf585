-- Delete consumers that hold nothing and have been idle for long. DELCONSUMER discards pending entries, hence one script.
-- KEYS: stream. ARGV: group, idle ms, most per call. Reply: how many were deleted.
local stream, group, ttl, most = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local deleted = 0
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local row = fields(flat)
  if row.pending == 0 and row.idle > ttl and deleted < most then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, row.name)
    deleted = deleted + 1
  end
end
return deleted
