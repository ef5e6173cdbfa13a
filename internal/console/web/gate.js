// The gate's levers: freeze, thaw, how fast jobs may start, and adopting what Redis
// has after a loss.

import { get, post } from './api.js';
import { field, foot, frame, given, redraw, send, show, unchanged, why } from './dialog.js';
import { h, since } from './dom.js';
import { at, may, say, state } from './state.js';

export const freeze = () => may('freeze') && show({ body: freezeBody });

// thaw shows the gate as it is at this moment: an order of a second ago has
// changed its head, and the page may not have heard of it yet.
export async function thaw() {
  if (!may('thaw') || !state.fleet) return;
  try {
    state.fleet = await get('/v1/fleet', { timeout: 2000 });
  } catch {
    // what was last seen has to do; the dispatcher says when it is too old
  }
  show({ body: state.fleet.gate.frozen ? thawBody : rateBody, seen: state.fleet.gate.head });
}

export const adopt = () => may('adopt') && state.fleet?.losses?.length > 0 && show({ body: adoptBody });

function freezeBody(o) {
  return frame(o, 'Freeze the fleet', false, () => send(o, () => post('/v1/fleet/freeze', given(), { idempotencyKey: o.key }), now('The fleet is frozen.')),
    h('p', null, 'Nothing is admitted and nothing starts until it is thawed. ', h('b', null, 'What runs goes on'), ', and goes on spending: to stop it, kill.'),
    why(true), foot(o, 'Freeze', false));
}

// now takes the gate as the answer has it.
function now(text) {
  return (gate) => { if (state.fleet) state.fleet = { ...state.fleet, gate }; say(text); };
}

// pace is what is given of the rate; nothing is none.
function pace() {
  const rate = Number(at('rate-of').value);
  const minutes = Number(at('rate-for').value);
  return rate > 0 ? { rate_per_second: rate, ...(minutes > 0 ? { for_seconds: Math.max(1, Math.round(minutes * 60)) } : {}) } : {};
}

function paceFields(note) {
  const g = state.fleet.gate;
  return h('div', { class: 'two', key: 'pace' },
    field('rate-of', 'Jobs a second', { type: 'number', min: 0.001, max: 100000, step: 'any', value: g.rate_per_second || undefined }, note),
    field('rate-for', 'For minutes', { type: 'number', min: 0.1, max: 43200, step: 'any' }, 'Optional: else until the next thaw.'));
}

function thawBody(o) {
  const g = state.fleet.gate;
  return frame(o, 'Thaw the fleet', false,
    () => send(o, () => unchanged(o, '/v1/fleet/thaw', { reason: at('reason').value.trim(), ...pace() }), now('The fleet is open.')),
    h('p', null, g.frozen ? `Frozen by ${g.actor || 'somebody'} ${since(g.frozen_at)} ago: “${g.reason}”.` : 'It is open already.', ' From then on jobs are admitted, and the queued ones start.'),
    state.fleet.open_orders.length > 0 && h('p', { class: 'warn' }, 'A kill is not quiesced yet. Thawing does not weaken it: what it covers stays dead.'),
    field('reason', 'Reason', { required: true, maxlength: 1024, autofocus: true }),
    paceFields('Optional: else all at once.'), foot(o, 'Thaw', false));
}

function rateBody(o) {
  const g = state.fleet.gate;
  return frame(o, 'How fast jobs may start', false,
    () => send(o, () => unchanged(o, '/v1/fleet/thaw', { reason: at('reason').value.trim(), ...pace() }), (gate) => now(gate.rate_per_second ? `${gate.rate_per_second} jobs a second may start.` : 'Jobs start as fast as slots are free.')(gate)),
    h('p', null, g.rate_per_second ? `At most ${g.rate_per_second} jobs of the whole fleet start in a second.` : 'The gate is open, and jobs start as fast as slots are free.', ' What runs goes on either way.'),
    paceFields('Left empty: no limit.'),
    field('reason', 'Reason', { required: true, maxlength: 1024, autofocus: true }), foot(o, 'Set the rate', false));
}

function adoptBody(o) {
  const typed = () => at('confirm')?.value === state.me.fleet;
  return frame(o, 'Adopt what Redis has', true, () => {
    if (!typed()) { o.fault = `Type ${state.me.fleet} to show that you mean this fleet. Nothing was adopted.`; return; }
    send(o, () => post('/v1/fleet/adopt', { reason: at('reason').value.trim() }, { idempotencyKey: o.key }), now('What Redis has is the truth from now on.'));
  },
  h('p', null, 'Redis has an older state than this dispatcher has seen. What was ordered, submitted or finished in between is ', h('b', null, 'not there any more'), '; nothing starts until an admin takes what is there for the truth. Look at the jobs first: whatever must not run again, kill or block.'),
  h('ul', { id: 'losses', class: 'holders' }, (state.fleet.losses || []).map((l) => h('li', { key: l.partition }, `Partition ${l.partition}: the gate ${l.seen} was seen, ${l.found || 'none'} is there`, l.since && `, for ${since(l.since)}`, '.'))),
  field('confirm', `Type the fleet’s name: ${state.me.fleet}`, { required: true, autofocus: true, oninput: redraw }),
  field('reason', 'Reason', { required: true, maxlength: 1024 }),
  foot(o, 'Adopt', true, typed()));
}
