import { signal } from '@preact/signals';
import { go } from '../router';
import { say } from '../ui/toast';
import { whyNotKill, whyNotStop } from './buttons';
import { isOpen } from './filters';
import { clear, cursor, selected, toggle } from './selection';
import { asking, askingToKill } from './stop';
import { runOf } from './store';

export const helping = signal(false);

export const KEYS: [string, string][] = [
  ['j  k', 'next, previous run'],
  ['x', 'select, with Shift from the last one to here'],
  ['Enter', 'open'],
  ['c', 'stop: what is selected, or this run'],
  ['/', 'filter'],
  ['?', 'these keys'],
  ['Esc', 'close, or let go of the selection'],
  ['Ctrl ⏎', 'in a dialog: do it'],
];

/** What is typed into is not ours, and neither is what a dialog takes. */
const elsewhere = (event: KeyboardEvent) => {
  const target = event.target as HTMLElement;
  const typing = target.matches('input:not([type=checkbox]), textarea, select, [contenteditable]');
  return typing || document.querySelector('dialog[open]') !== null;
};

/** The keys of the list. `rows` are those that are shown, `reach` brings one of them into view. */
export function listenToKeys(rows: () => readonly number[], reach: (index: number) => void) {
  const move = (by: number) => {
    const ids = rows();
    if (ids.length === 0) return;
    const from = cursor.peek() === null ? -1 : ids.indexOf(cursor.peek() as number);
    const to = from < 0 ? 0 : Math.min(Math.max(from + by, 0), ids.length - 1);
    cursor.value = ids[to] ?? null;
    reach(to);
  };
  const stopIt = () => {
    const chosen = [...selected.peek()];
    if (chosen.length > 0) {
      asking.value = chosen;
      return;
    }
    const run = cursor.peek() === null ? undefined : runOf(cursor.peek() as number)?.peek();
    if (!run) return say('Go to a run with j and k, or select some with x, and then press c.');
    const stopping = run.stop?.outcome === 'stopping';
    const why = stopping ? whyNotKill(run) : whyNotStop(run);
    if (why) say(why);
    else if (stopping) askingToKill.value = run.id;
    else asking.value = [run.id];
  };
  const keys = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || elsewhere(event)) return;
    const at = cursor.peek();
    switch (event.key) {
      case 'j':
      case 'k':
        move(event.key === 'j' ? 1 : -1);
        break;
      case 'x':
      case 'X': {
        const run = at === null ? undefined : runOf(at)?.peek();
        if (run && (isOpen(run) || selected.peek().has(run.id))) toggle(run.id, rows(), event.shiftKey);
        else if (run) say('It is over, so there is nothing to select it for.');
        break;
      }
      case 'Enter': {
        // A link or a button that has the focus does what it does.
        if (at === null || (event.target as HTMLElement).matches('a, button, input, summary')) return;
        go(`/runs/${at}`);
        break;
      }
      case 'c':
        stopIt();
        break;
      case '/':
        document.querySelector<HTMLInputElement>('#needle')?.focus();
        break;
      case '?':
        helping.value = true;
        break;
      case 'Escape':
        if (selected.peek().size > 0) clear();
        else cursor.value = null;
        break;
      default:
        return;
    }
    event.preventDefault();
  };
  document.addEventListener('keydown', keys);
  return () => document.removeEventListener('keydown', keys);
}
