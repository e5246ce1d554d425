import { signal, useSignalEffect } from '@preact/signals';
import { type ComponentType, Fragment } from 'preact';
import { said } from './api/client';
import { path } from './router';
import { RunPage } from './run/page';
import { CallMe } from './runs/call_me';
import { lastList } from './runs/filters';
import { KillDialog } from './runs/kill_dialog';
import { RunsPage } from './runs/page';
import { asking, askingToKill } from './runs/stop';
import { StopDialog } from './runs/stop_dialog';
import { condition, project } from './runs/store';
import { may, person, session, signOut } from './session';
import { SignInPage } from './signin';
import { Heading } from './ui/heading';
import { say, Toast } from './ui/toast';

const CONDITIONS = { connecting: 'connecting', live: 'live', waiting: 'reconnecting', offline: 'offline' };

function Header() {
  const here = (of: string) =>
    path.value === of || (of === '/' && path.value.startsWith('/runs')) ? 'page' : undefined;
  const name = session.value?.project.name ?? project.value?.name;
  const leave = () => signOut().catch((error) => say(said(error)));
  return (
    <header>
      <a class="brand" href="/" aria-label="estop: all runs">
        <i class="mark" />
        <b>estop</b>
      </a>
      <nav aria-label="Pages">
        <a href={path.value === '/' ? '/' : lastList.value} aria-current={here('/')}>
          Runs
        </a>
        <a href="/stops" aria-current={here('/stops')}>
          Stops
        </a>
        <a href="/settings" aria-current={here('/settings')}>
          Settings
        </a>
      </nav>
      <span class={`line ${condition.value}`} role="status">
        {CONDITIONS[condition.value]}
      </span>
      <details class="who">
        <summary>
          <span class="project">{name}</span>
          <span class="user">{session.value?.session.user}</span>
        </summary>
        <div class="card menu">
          <p class="sub">
            {session.value?.session.name}
            <br />
            may {session.value?.session.scopes.join(', ')}
          </p>
          {may.read.value && <CallMe />}
          <button type="button" onClick={leave}>
            Sign out
          </button>
        </div>
      </details>
    </header>
  );
}

/** A page that is fetched when it is first opened, so that the first view stays small. */
function lazily(load: () => Promise<ComponentType>) {
  const loaded = signal<ComponentType | null>(null);
  const problem = signal(false);
  const fetchIt = () =>
    load().then(
      (component) => {
        loaded.value = component;
      },
      () => {
        problem.value = true;
      },
    );
  return () => {
    useSignalEffect(() => {
      if (!loaded.value && !problem.value) void fetchIt();
    });
    const Page = loaded.value;
    if (Page) return <Page />;
    return (
      <main>
        {problem.value ? (
          <p class="problem" role="alert">
            This part of the page could not be loaded: the service was upgraded, or you are offline.{' '}
            <button type="button" onClick={() => location.reload()}>
              Reload
            </button>
          </p>
        ) : (
          <p class="soft">Loading…</p>
        )}
      </main>
    );
  };
}

const StopsPage = lazily(() => import('./stops/page').then(({ StopsPage }) => StopsPage));
const SettingsPage = lazily(() => import('./settings/page').then(({ SettingsPage }) => SettingsPage));

const NothingToSee = () => (
  <main>
    <div class="card empty">
      <Heading title="Nothing to see">This key may not see runs</Heading>
      <p>It lacks the scope read. Sign out, and sign in with a key that has it.</p>
    </div>
  </main>
);

function Page() {
  const run = /^\/runs\/([1-9]\d{0,14})$/.exec(path.value)?.[1];
  if (path.value === '/settings') return <SettingsPage />;
  if (!may.read.value) return <NothingToSee />;
  if (run) return <RunPage key={run} id={Number(run)} />;
  if (path.value === '/stops') return <StopsPage />;
  if (path.value === '/') return <RunsPage />;
  return (
    <main>
      <div class="card empty">
        <Heading title="No such page">There is no such page</Heading>
        <p>
          <a href="/">All runs</a>
        </p>
      </div>
    </main>
  );
}

export function App() {
  if (session.value === undefined) return null;
  if (session.value === null) {
    return (
      <>
        <SignInPage />
        <Toast />
      </>
    );
  }
  return (
    <Fragment key={person.value}>
      <Header />
      <Page />
      {asking.value && <StopDialog key={asking.value.join()} ids={asking.value} />}
      {askingToKill.value !== null && <KillDialog key={askingToKill.value} id={askingToKill.value} />}
      <Toast />
    </Fragment>
  );
}
