import { At } from '../ui/time';
import { events, loadEvents, olderEvents, projects } from './admin';

/** What admins did. They share one token, so this does not say who. */
export function Events() {
  const nameOf = (id: number) => projects.value.find((one) => one.id === id)?.name;
  return (
    <section aria-labelledby="changes">
      <h2 id="changes">What was changed</h2>
      <div class="card">
        <ul class="rows">
          {events.value.map(({ id, at, what, project_id, subject, detail }) => (
            <li key={id}>
              <span>
                {what[0]?.toUpperCase() + what.slice(1).replaceAll('_', ' ')}: <b>{subject}</b>{' '}
                {detail && <span class="soft">{detail}</span>}
                {nameOf(project_id) && <span class="sub"> · {nameOf(project_id)}</span>}
              </span>
              <span class="sub end">
                <At at={at} />
              </span>
            </li>
          ))}
          {events.value.length === 0 && <li class="soft">Nothing yet.</li>}
        </ul>
        {olderEvents.value !== null && (
          <p class="foot">
            <button type="button" onClick={() => void loadEvents(olderEvents.value ?? undefined)}>
              Older
            </button>
          </p>
        )}
      </div>
    </section>
  );
}
