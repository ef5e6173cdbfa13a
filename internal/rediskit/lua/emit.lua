-- emit: one lifecycle event on the job's own stream; its entry id is the event
-- id that readers resume at.
local function emit(id, kind, t, data)
  redis.call('XADD', P.events .. id, 'MAXLEN', '~', '5000', '*', 'type', kind, 'at', t, 'data', cjson.encode(data))
end
