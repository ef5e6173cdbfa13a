// The one dialog: what it is about, how it is drawn, and how its act is sent.

import { post, random } from './api.js';
import { draw, h } from './dom.js';
import { at, changed, may, state } from './state.js';

let actions;
let open = null; // what the dialog is about; null when it is closed

export function init(all) {
  actions = all;
  const box = at('dialog');
  // The event comes after the dialog has closed; by then the next may be open.
  box.addEventListener('close', () => { if (!box.open) { open = null; draw(box); } });
  box.addEventListener('click', (e) => { if (e.target === box) close(); });
}

export function close() {
  if (at('dialog').open) at('dialog').close();
}

// shown says whether a dialog is still the one that is open.
export const shown = (o) => open === o;

export function show(dialog, then) {
  open = { ...dialog, fault: null, busy: false, key: random() };
  redraw();
  const box = at('dialog');
  if (!box.open) box.showModal();
  box.querySelector('[autofocus]')?.focus();
  then?.(open);
}

export function redraw() {
  if (open) draw(at('dialog'), h('div', { key: open.key }, open.body(open)));
}

export function frame(o, title, danger, submit, ...body) {
  return h('form', { onsubmit: (e) => { e.preventDefault(); if (!o.busy) submit(); }, class: danger ? 'ask grave' : 'ask', autocomplete: 'off' },
    h('h2', { id: 'dialog-title' }, title), body,
    o.fault && h('p', { class: 'fault', role: 'alert' }, o.fault));
}

export function foot(o, text, danger, ready = true) {
  return h('div', { class: 'foot' },
    h('button', { type: 'button', onclick: () => close() }, 'Cancel', h('kbd', null, 'Esc')),
    h('button', { id: 'go', type: 'submit', class: danger ? 'danger' : 'primary', disabled: o.busy || !ready }, o.busy ? 'Sending…' : text));
}

export function field(id, label, props, note) {
  return h('div', { class: 'field', key: id }, h('label', { for: id }, label), h('input', { id, spellcheck: 'false', ...props }), note && h('small', null, note));
}

export function why(focus, note = 'Kept in the receipt, the job and the audit.') {
  return [field('reason', 'Reason', { required: true, maxlength: 1024, autofocus: focus || undefined }, note),
    field('incident', 'Incident (optional)', { maxlength: 128, value: state.incident || state.fleet?.gate.incident || undefined })];
}

// resumable is for kills from above: after one of those only an admin may go on
// from a checkpoint, unless the order says otherwise.
export function resumable() {
  return may('fleet-read') && h('p', { class: 'check', key: 'resumable' }, h('input', { type: 'checkbox', id: 'resumable' }),
    h('label', { for: 'resumable' }, 'Owners may go on from a checkpoint'));
}

export function given() {
  const incident = at('incident')?.value.trim();
  if (incident) state.incident = incident;
  return { reason: at('reason').value.trim(), ...(incident ? { incident } : {}), ...(at('resumable')?.checked ? { allow_resume: true } : {}) };
}

// send does the act and closes the dialog, or says in it what went wrong.
export async function send(o, act, done) {
  o.busy = true;
  o.fault = null;
  redraw();
  const began = performance.now();
  try {
    const answer = await act();
    close();
    done(answer, began);
    actions.refresh();
    changed();
  } catch (e) {
    o.busy = false;
    o.fault = e.inWords || String(e);
    redraw();
  }
}

// ask reads what a dialog has to show before it can ask: it tells the dialog what
// went wrong instead of throwing.
export async function ask(o, question) {
  o.busy = true;
  o.fault = null;
  redraw();
  try {
    await question();
  } catch (e) {
    o.fault = e.inWords || String(e);
  }
  o.busy = false;
  if (shown(o)) redraw();
}

// unchanged sends an act that holds only for the gate that was seen; one that has
// changed is taken note of, for the next try.
export async function unchanged(o, path, body) {
  try {
    return await post(path, { ...body, seen: o.seen }, { idempotencyKey: o.key });
  } catch (e) {
    if (e.type === 'gate-changed') { o.seen = e.body.head || o.seen; o.key = random(); }
    throw e;
  }
}
