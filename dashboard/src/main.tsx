import { effect, untracked } from '@preact/signals';
import { render } from 'preact';
import { said } from './api/client';
import { App } from './app';
import { loadEnvironments } from './environments';
import { path } from './router';
import { begun, followProject, list } from './runs/store';
import { loadSession, may, person, session } from './session';
import { say } from './ui/toast';

const root = document.querySelector('#page') as HTMLElement;

// The session and the rows are asked for at once: the first rows wait for one answer, not for two.
if (path.peek() === '/') void list();
loadSession().catch((error) => {
  session.value = null;
  say(said(error));
});

effect(() => {
  if (begun.value && may.read.value && person.value) void untracked(loadEnvironments);
});
followProject();
render(<App />, root);
