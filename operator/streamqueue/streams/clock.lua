-- Put in front of the scripts that go by the server's clock: `now` is unix ms.
-- Before Redis 7 a server may be set to repeat scripts on its replicas, and refuses a write that comes after a look at the
-- clock, unless it is told to repeat the writes instead.
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
