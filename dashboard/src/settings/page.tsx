import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { said } from '../api/client';
import { session } from '../session';
import { Heading } from '../ui/heading';
import { current, loadEvents, loaded, loadProject, lock, projects, token, unlock } from './admin';
import { Environments } from './environments';
import { Events } from './events';
import { Keys, MadeKeys } from './keys';
import { NewProject, ProjectSettings } from './project';
import { NewSecrets, Webhooks } from './webhooks/section';

/** So many projects are chips; more are a list to choose from. */
const FEW = 8;

function Door() {
  const field = useRef<HTMLInputElement>(null);
  const problem = useSignal<string | null>(null);
  const enter = async (event: Event) => {
    event.preventDefault();
    problem.value = null;
    try {
      await unlock(field.current?.value.trim() ?? '', session.peek()?.project.id);
    } catch (error) {
      problem.value = said(error);
      field.current?.select();
    }
  };
  return (
    <section class="card section">
      <p>
        Projects, environments, keys and limits are an admin’s. The token stays in this page’s memory: a reload forgets
        it.
      </p>
      <form class="inline" onSubmit={enter}>
        <label>
          <span>Admin token</span>
          <input
            ref={field}
            type="password"
            autocomplete="off"
            required
            aria-invalid={problem.value !== null}
            aria-describedby={problem.value ? 'not-admin' : undefined}
          />
        </label>
        <button type="submit" class="primary">
          Open settings
        </button>
      </form>
      {problem.value && (
        <p id="not-admin" class="problem" role="alert">
          {problem.value}
        </p>
      )}
    </section>
  );
}

function Opened() {
  const problem = useSignal<string | null>(null);
  const id = current.value;
  const read = () => {
    problem.value = null;
    Promise.all([id !== null && loadProject(id), loadEvents()]).catch((error) => {
      if (current.peek() === id) problem.value = said(error);
    });
  };
  useEffect(read, [id]);
  const project = projects.value.find((one) => one.id === id);
  const isLoaded = loaded.value === id;
  return (
    <>
      <div class="chips">
        {projects.value.length > FEW ? (
          <select
            aria-label="Project"
            value={String(id)}
            onChange={(event) => {
              current.value = Number(event.currentTarget.value);
            }}
          >
            {projects.value.map((one) => (
              <option key={one.id} value={String(one.id)}>
                {one.name}
              </option>
            ))}
          </select>
        ) : (
          projects.value.map((one) => (
            <button
              key={one.id}
              type="button"
              class={one.id === id ? 'chip on' : 'chip'}
              aria-pressed={one.id === id}
              onClick={() => {
                current.value = one.id;
              }}
            >
              {one.name}
            </button>
          ))
        )}
        <button type="button" class="chip" onClick={lock}>
          forget the token
        </button>
      </div>
      {problem.value && (
        <p class="problem" role="alert">
          {problem.value}{' '}
          <button type="button" onClick={read}>
            Try again
          </button>
        </p>
      )}
      {project && (
        <>
          <ProjectSettings key={project.id} project={project} />
          {isLoaded && <Environments key={`environments of ${project.id}`} project={project} />}
          {!isLoaded && !problem.value && <p class="soft">Loading…</p>}
          <MadeKeys />
          <NewSecrets />
          {isLoaded && <Keys key={`keys of ${project.id}`} project={project} />}
          {isLoaded && <Webhooks key={`webhooks of ${project.id}`} project={project} />}
        </>
      )}
      <NewProject />
      <Events />
    </>
  );
}

export const SettingsPage = () => (
  <main class="settings">
    <Heading title="Settings">Settings</Heading>
    {token.value === null ? <Door /> : <Opened />}
  </main>
);
