// The levers, each behind a dialog that says what it will do before it does it.

import { post } from './api.js';
import { block, lift } from './blocks.js';
import { close, field, foot, frame, given, init, redraw, resumable, send, show, shown, why } from './dialog.js';
import { count, h, jobs, money } from './dom.js';
import { adopt, freeze, thaw } from './gate.js';
import { scopeText } from './receipt.js';
import { resume } from './resume.js';
import { at, may, say, state, stopped } from './state.js';

let actions;

export const dialogs = {
  init(all) { actions = all; init(all); },
  close, freeze, thaw, adopt, block, lift,
  resume: (j) => resume(j, actions),
  help: (keys) => show({ body: () => helpBody(keys) }),
  killAll: () => may('kill-fleet') && show({ body: killAllBody, freeze: true, preview: null }, (o) => look(o, { scope: 'fleet' })),
  killJob: (j) => j && show({ body: killJobBody, job: j }),
  kill: (what) => may('kill-selector') && show({ body: killBody, what, asked: Object.keys(what).length > 0 }, (o) => { if (o.asked) look(o, scopeOf(what)); }),
};

function killJobBody(o) {
  const j = o.job;
  return frame(o, 'Kill this job', true, () => send(o, () => post(`/v1/jobs/${j.id}/kill`, given(), { idempotencyKey: o.key }), ordered),
    h('p', null, `${j.kind} of ${j.owner}, ${j.state}${j.worker ? ` on ${j.worker}` : ''}; it has spent ${money(j.spent_micro_usd)}.`), h('p', { class: 'id dim' }, j.id),
    why(true), resumable(), foot(o, 'Kill the job', true));
}

function ordered(receipt, began) {
  actions.ordered(receipt, began);
  if (!stopped(receipt)) say(`The order is recorded: ${receipt.tally.targeted} targeted, ${receipt.tally.waiting} waiting.`);
}

// scopeOf is the scope of what was asked for: an owner alone is met in one
// instant, anything more by a walk.
function scopeOf(what) {
  const keys = Object.keys(what).filter((k) => what[k]);
  if (keys.length === 1 && what.owner) return { scope: 'owner', owner: what.owner };
  const s = {};
  if (what.owner) s.owner = what.owner;
  if (what.submitter) s.submitter = what.submitter;
  if (what.kind) s.kind = what.kind;
  if (what.model) s.model = what.model;
  if (what.age) s.min_age_seconds = Math.round(Number(what.age) * 60);
  if (what.spend) s.min_spend_micro_usd = Math.round(Number(what.spend) * 1e6);
  if (what.labels) s.labels = Object.fromEntries(what.labels.split(/[\s,]+/).filter(Boolean).map((l) => { const i = l.indexOf('='); return i < 0 ? [l, ''] : [l.slice(0, i), l.slice(i + 1)]; }));
  return { scope: 'selector', selector: s };
}

async function look(o, scope) {
  Object.assign(o, { busy: true, fault: null, scope });
  redraw();
  try {
    o.preview = await post('/v1/orders/preview', scope, { idempotent: false });
    o.until = performance.now() + 55000;
    say(`${jobs(o.preview.jobs)} would be killed.`);
  } catch (e) {
    o.preview = null;
    o.fault = e.inWords || String(e);
  }
  o.busy = false;
  if (!shown(o)) return;
  redraw();
  at('dialog').querySelector('#reason')?.focus();
  if (o.body === killAllBody) at('confirm')?.focus();
}

function killBody(o) {
  return o.preview ? killSecond(o) : killFirst(o);
}

function killFirst(o) {
  const w = o.what;
  const read = () => ({ owner: at('f-owner').value.trim(), submitter: at('f-submitter').value.trim(), kind: at('f-kind').value.trim(), model: at('f-model').value.trim(), labels: at('f-labels').value.trim(), age: at('f-age').value, spend: at('f-spend').value });
  return frame(o, 'Kill what matches', true, () => { o.what = read(); look(o, scopeOf(o.what)); },
    h('p', null, 'What is given must all hold. You see what would be killed before anything is.'),
    h('div', { class: 'two' }, field('f-owner', 'Owner', { value: w.owner, autofocus: true }), field('f-submitter', 'Submitter', { value: w.submitter })),
    h('div', { class: 'two' }, field('f-kind', 'Kind', { value: w.kind }), field('f-model', 'Model', { value: w.model })),
    field('f-labels', 'Labels', { value: w.labels, placeholder: 'batch=nightly team=growth' }),
    h('div', { class: 'two' }, field('f-age', 'Older than, minutes', { type: 'number', min: 0, step: 'any', value: w.age }), field('f-spend', 'Spent at least, $', { type: 'number', min: 0, step: 'any', value: w.spend })),
    foot(o, 'Preview', false));
}

function killSecond(o) {
  const p = o.preview;
  const none = p.jobs === 0;
  return frame(o, none ? 'Nothing to kill' : `Kill ${p.partial ? 'at least ' : ''}${jobs(p.jobs)}?`, true, () => issue(o),
    h('p', { id: 'preview' }, 'Of ', h('b', null, scopeText(p.scope)), `: ${jobs(p.jobs)} of ${count(p.owners)} ${p.owners === 1 ? 'owner' : 'owners'}; ${money(p.spent_micro_usd)} spent so far, ${money(p.micro_usd_per_minute)} a minute.`,
      p.covered_before > 0 && ` ${jobs(p.covered_before)} under an earlier order already.`, p.partial && ' Too many live to look at all: these are lower bounds.'),
    !none && h('div', { class: 'three' }, tally('by owner', p.by_owner), tally('by kind', p.by_kind), tally('by state', p.by_state)),
    !none && why(true), !none && resumable(),
    h('div', { class: 'foot' },
      h('button', { type: 'button', onclick: () => { o.preview = null; o.fault = null; redraw(); at('f-owner')?.focus(); } }, 'Change'),
      h('button', { type: 'button', onclick: () => close() }, 'Cancel', h('kbd', null, 'Esc')),
      !none && h('button', { id: 'go', type: 'submit', class: 'danger', disabled: o.busy }, o.busy ? 'Sending…' : `Kill ${jobs(p.jobs)}`)));
}

function tally(name, rows) {
  return h('table', { class: 'tally' }, h('thead', null, h('tr', null, h('th', null, name), h('th', { class: 'n' }, 'jobs'), h('th', { class: 'n' }, '$/min'))),
    h('tbody', null, rows.slice(0, 6).map((r) => h('tr', { key: r.name }, h('td', null, r.name), h('td', { class: 'n' }, count(r.jobs)), h('td', { class: 'n' }, money(r.micro_usd_per_minute))))));
}

async function issue(o) {
  if (performance.now() > o.until) {
    await look(o, o.scope);
    if (!o.fault) { o.fault = 'The preview was older than a minute; this is a new one. Look again, then confirm.'; redraw(); }
    return;
  }
  await send(o, () => post('/v1/orders', { ...o.scope, ...given(), token: o.preview.token }, { idempotencyKey: o.key }), ordered);
}

function killAllBody(o) {
  const p = o.preview;
  const typed = () => at('confirm')?.value === state.me.fleet;
  return frame(o, 'Kill ALL jobs', true, () => {
    if (!typed()) { o.fault = `Type ${state.me.fleet} to show that you mean this fleet. Nothing was killed.`; redraw(); return; }
    send(o, () => post('/v1/kill-all', { scope: 'fleet', confirm: at('confirm').value, freeze: at('freeze-too').checked, ...given() }, { idempotencyKey: o.key }), ordered);
  },
  h('p', { id: 'preview' }, p ? h('b', null, `${p.partial ? 'At least ' : ''}${jobs(p.jobs)} of ${count(p.owners)} ${p.owners === 1 ? 'owner' : 'owners'}, ${money(p.spent_micro_usd)} spent so far, ${money(p.micro_usd_per_minute)} a minute. `) : 'Counting… you need not wait. ',
    'Every job of every owner is killed, in one instant. There is no way back; checkpoints and what was spent stay on record.'),
  field('confirm', `Type the fleet’s name: ${state.me.fleet}`, { required: true, autofocus: true, oninput: () => redraw() }),
  why(false),
  h('p', { class: 'check' }, h('input', { type: 'checkbox', id: 'freeze-too', checked: true }), h('label', { for: 'freeze-too' }, 'Freeze in the same step, so that retries do not refill the road')),
  resumable(),
  foot(o, 'Kill ALL', true, typed()));
}

function helpBody(keys) {
  return h('div', { class: 'ask' }, h('h2', { id: 'dialog-title' }, 'Keyboard'),
    h('dl', { class: 'keys' }, keys.map(([key, text]) => h('div', { key }, h('dt', null, h('kbd', null, key)), h('dd', null, text)))),
    h('div', { class: 'foot' }, h('button', { class: 'primary', autofocus: true, onclick: () => close() }, 'Close', h('kbd', null, 'Esc'))));
}
