-- Delayed tasks whose time has come enter the stream; one bounded step.
-- KEYS: stream, delayed sorted set, payload hash. ARGV: most tasks, prefix of the marks of what was sent (in the
-- stream's slot).
-- Reply: {promoted, ms until the next is due (-1: there is none)}.
local stream, delayed, payloads, most, sent = KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[1]), ARGV[2]

local ready = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'WITHSCORES', 'LIMIT', 0, most)
local count = 0
for i = 1, #ready, 2 do
  local id, packed = ready[i], redis.call('HGET', payloads, ready[i])
  if packed then
    local fields = cmsgpack.unpack(packed)
    -- Its wait counts from when it was due.
    fields[#fields + 1] = 'sq-enqueued-at'
    fields[#fields + 1] = ready[i + 1]
    local entry = redis.call('XADD', stream, '*', unpack(fields))
    -- For those who ask where it is; whether it was sent, the mark tells as it stands.
    redis.pcall('SET', sent .. id, entry, 'XX', 'KEEPTTL')
    count = count + 1
  end
  redis.call('ZREM', delayed, id)
  redis.call('HDEL', payloads, id)
end
local head = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
return {count, head[2] and math.max(0, tonumber(head[2]) - now) or -1}
