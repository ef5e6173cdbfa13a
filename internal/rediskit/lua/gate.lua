-- gate: freeze, horizons and standing orders are one rule list, read here only.
-- A list that this build cannot read fails the script, so every script reads
-- the gate before its first write.
local function rules_of(text)
  if not text or text == '' then return {} end
  local function understood(rule)
    if type(rule) ~= 'table' then return false end
    if rule.rule == 'horizon' then
      return tonumber(rule.seq) and type(rule.owner) == 'string' and type(rule.order) == 'string'
    end
    return rule.rule == 'block' and (rule.on == 'owner' or rule.on == 'kind' or rule.on == 'label')
  end
  local ok, rules = pcall(cjson.decode, text)
  ok = ok and type(rules) == 'table' and (next(rules) == nil or rules[1] ~= nil)
  for i = 1, ok and #rules or 0 do ok = ok and understood(rules[i]) end
  if not ok then error('the gate holds rules that this build cannot read: nothing starts until they are mended') end
  return rules
end

-- there: a gate that was begun and is gone was lost alone, without its orders. What
-- starts then is not let through by it, and what ends is in no order's count. See
-- rediskit.GateGone.
local function there(any)
  if not any and redis.call('HGET', K.meta, 'gated') == '1' then
    error('GATEGONE the gate is gone: nothing is done until a dispatcher has begun it again, with the rules of the orders that are open')
  end
end

local gate_cache
local function gate()
  if not gate_cache then
    local v = redis.call('HMGET', K.gate, 'frozen', 'rules', 'number', 'interval', 'rate_until')
    there(v[1] or v[2] or v[3])
    local rules = rules_of(v[2])
    gate_cache = { frozen = v[1] == '1', number = v[3] or '', rules = rules,
      interval = tonumber(v[4] or 0) or 0, paced_until = tonumber(v[5] or 0) or 0 }
  end
  return gate_cache
end

-- covering: the order that stands over a job, or nil. The first order wins:
-- the one on the record, then the horizons, lowest first.
local function covering(r)
  if r.order and r.order ~= '' then
    return { id = r.order, at = r.order_at or '', actor = r.order_by or '', reason = r.order_reason or '', allow = r.allow_resume or '',
      trace = r.order_trace or '' }
  end
  local seq = tonumber(r.seq)
  for _, rule in ipairs(gate().rules) do
    if rule.rule == 'horizon' and seq <= tonumber(rule.seq) and (rule.owner == '' or rule.owner == r.owner) then
      return { id = rule.order, at = rule.at, actor = rule.actor, reason = rule.reason, allow = rule.allow or '', trace = rule.trace or '' }
    end
  end
  return nil
end

-- blocking: the standing order that refuses a job of this owner, kind and
-- labels (a decoded object), or nil.
local function blocking(owner, kind, labels)
  for _, rule in ipairs(gate().rules) do
    if rule.rule == 'block' then
      local hit = rule.on == 'owner' and rule.value == owner
        or rule.on == 'kind' and rule.value == kind
        or rule.on == 'label' and labels and labels[rule.label] == rule.value
      if hit then return rule end
    end
  end
  return nil
end
