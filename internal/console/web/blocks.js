// Standing orders: an owner, a kind or a label that is neither admitted nor started
// until somebody lifts it.

import { get, post } from './api.js';
import { ask, close, field, foot, frame, given, redraw, send, show, unchanged, why } from './dialog.js';
import { count, h, jobs, money, since } from './dom.js';
import { at, changed, may, say, state } from './state.js';

export const block = (what) => may('block') && show({ body: blockBody, what: { on: 'owner', ...what } });

// lift looks again before it asks: it holds only for the gate that was seen.
export async function lift(b) {
  if (!may('lift') || !b) return;
  show({ body: liftBody, block: b, seen: state.blocks.head }, (o) => ask(o, async () => {
    await look();
    o.seen = state.blocks.head;
  }));
}

async function look() {
  state.blocks = await get('/v1/blocks');
  changed();
}

export function blockText(b) {
  return `${b.on} ${b.label ? `${b.label}=` : ''}${b.value}`;
}

// counted is the preview for an operator, who may block but not ask what a kill
// would meet: the first page of what lives.
async function counted(w) {
  const q = new URLSearchParams([['limit', 200], ...['queued', 'running', 'parked', 'delayed', 'held', 'killing'].map((s) => ['state', s]),
    w.on === 'label' ? ['label', `${w.label}=${w.value}`] : [w.on, w.value]]);
  const page = await get(`/v1/jobs?${q}`);
  return { jobs: page.jobs.length, partial: Boolean(page.next), by_state: [{ name: 'running', jobs: page.jobs.filter((j) => j.state === 'running').length }] };
}

function blockBody(o) {
  return o.preview ? second(o) : first(o);
}

const things = [['owner', 'Owner'], ['kind', 'Kind'], ['label', 'Label']];

function first(o) {
  const w = o.what;
  const read = () => { o.what = { on: at('b-on').value, label: at('b-label')?.value.trim(), value: at('b-value').value.trim() }; };
  return frame(o, 'Block until lifted', false, () => { read(); preview(o); },
    h('p', null, 'Such jobs are neither admitted nor started; what is queued is put aside and comes back when the block is lifted. ', h('b', null, 'What runs goes on'), ': to stop it, kill.'),
    h('div', { class: w.on === 'label' ? 'three' : 'two' },
      h('div', { class: 'field', key: 'on' }, h('label', { for: 'b-on' }, 'Block'),
        h('select', { id: 'b-on', onchange: () => { read(); redraw(); } }, things.map(([v, t]) => h('option', { value: v, selected: w.on === v }, t)))),
      w.on === 'label' && field('b-label', 'Key', { required: true, value: w.label, maxlength: 64 }),
      field('b-value', w.on === 'label' ? 'Value' : 'Named', { required: true, value: w.value, autofocus: true })),
    foot(o, 'Preview', false));
}

function scope(w) {
  if (w.on === 'owner') return { scope: 'owner', owner: w.value };
  return { scope: 'selector', selector: w.on === 'kind' ? { kind: w.value } : { labels: { [w.label]: w.value } } };
}

async function preview(o) {
  const counts = may(o.what.on === 'owner' ? 'kill-owner' : 'kill-selector');
  await ask(o, async () => { o.preview = counts ? await post('/v1/orders/preview', scope(o.what), { idempotent: false }) : await counted(o.what); });
  at('dialog').querySelector('#reason')?.focus();
}

function second(o) {
  const p = o.preview;
  const of = (state) => p.by_state.find((r) => r.name === state)?.jobs || 0;
  const run = of('running');
  return frame(o, `Block ${blockText(o.what)}?`, true, () => send(o, () => post('/v1/blocks', { ...o.what, label: o.what.on === 'label' ? o.what.label : undefined, ...given() }, { idempotencyKey: o.key }), (b) => {
    say(b.missing_partitions?.length ? `The block of ${blockText(b)} is being recorded.` : `Blocked: ${blockText(b)}.`);
    look();
  }),
  h('p', { id: 'preview' }, `${p.partial ? 'At least ' : ''}${jobs(p.jobs)} live now: ${count(p.jobs - run)} would be put aside instead of starting, ${count(run)} ${run === 1 ? 'runs' : 'run'} on`, p.micro_usd_per_minute !== undefined && ` at ${money(p.micro_usd_per_minute)} a minute`, '.'),
  why(true, 'Shown to whoever is refused, and kept in the audit.'),
  h('div', { class: 'foot' },
    h('button', { type: 'button', onclick: () => { o.preview = null; o.fault = null; redraw(); at('b-value')?.focus(); } }, 'Change'),
    h('button', { type: 'button', onclick: () => close() }, 'Cancel', h('kbd', null, 'Esc')),
    h('button', { id: 'go', type: 'submit', class: 'danger', disabled: o.busy }, o.busy ? 'Sending…' : 'Block')));
}

function liftBody(o) {
  const b = o.block;
  return frame(o, `Lift the block of ${blockText(b)}?`, false,
    () => send(o, () => unchanged(o, `/v1/blocks/${b.id}/lift`, { reason: at('reason').value.trim() }), () => { say(`Lifted: ${blockText(b)}.`); look(); }),
    h('p', null, `Blocked by ${b.actor} ${since(b.recorded_at)} ago: “${b.reason}”. Such jobs are admitted again, and those that were put aside come back to the road.`),
    field('reason', 'Reason', { required: true, maxlength: 1024, autofocus: true }), foot(o, 'Lift', false));
}

// blocked is the panel of what stands.
export function blocked(panel) {
  const all = state.blocks.blocks;
  if (all.length === 0) return null;
  return panel('Blocked until lifted', 'blocks', null, h('ul', { class: 'standing', id: 'blocks' }, all.map((b) => h('li', { key: b.id, 'data-row': b.id, tabindex: -1, onopen: () => lift(b) },
    h('b', null, blockText(b)), h('span', null, `by ${b.actor} ${since(b.recorded_at)} ago`, h('q', null, b.reason), b.incident && h('span', { class: 'tag' }, b.incident),
      b.missing_partitions?.length > 0 && h('span', { class: 'chip warn' }, 'not everywhere yet')),
    may('lift') && h('button', { class: 'small calm', onclick: () => lift(b), 'aria-label': `Lift the block of ${blockText(b)}` }, 'Lift…')))));
}
