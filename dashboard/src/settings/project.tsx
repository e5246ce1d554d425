import { useSignal } from '@preact/signals';
import { Copyable } from '../ui/copy';
import { At } from '../ui/time';
import { attempt, changeProject, createProject, environments, limit, type Project } from './admin';
import { Form, Name, Slug, textOf } from './fields';

const SCOPES = {
  none: 'Any number of runs at once',
  project: 'One run at a time in the whole project',
  environment: 'One run at a time in each environment',
  branch_environment: 'One run at a time of each branch in each environment',
} as const;
const BEHAVIOURS = {
  cancel_previous: 'a newer run takes the place of the one before',
  queue_new: 'a newer run waits until the one before is over',
} as const;

function Limit({ project }: { project: Project }) {
  const { concurrency } = project;
  const held = useSignal<number[]>([]);
  const set = async (field: HTMLSelectElement, part: keyof Project['concurrency']) => {
    const answer = await attempt(
      () => limit(project.id, { ...concurrency, [part]: field.value }),
      'The limit holds for runs from now on.',
    );
    held.value = answer ?? [];
    // A change that was refused did not happen.
    if (!answer) field.value = concurrency[part];
  };
  return (
    <div class="limit">
      <select aria-label="Limit" value={concurrency.scope} onChange={(event) => void set(event.currentTarget, 'scope')}>
        {Object.entries(SCOPES).map(([scope, words]) => (
          <option key={scope} value={scope}>
            {words}
          </option>
        ))}
      </select>
      {concurrency.scope !== 'none' && (
        <select
          aria-label="What a newer run does"
          value={concurrency.behaviour}
          onChange={(event) => void set(event.currentTarget, 'behaviour')}
        >
          {Object.entries(BEHAVIOURS).map(([behaviour, words]) => (
            <option key={behaviour} value={behaviour}>
              {words}
            </option>
          ))}
        </select>
      )}
      {held.value.length > 0 && (
        <p class="sub" role="status">
          The limit of before still holds {held.value.map((id) => `#${id}`).join(', ')}.
        </p>
      )}
    </div>
  );
}

function Badges({ project }: { project: Project }) {
  return (
    <>
      <label class="check">
        <input
          type="checkbox"
          checked={project.badges}
          onChange={async (event) => {
            const box = event.currentTarget;
            const badges = box.checked;
            const done = badges ? 'Anyone may see its badges.' : 'Its badges say “unknown” now.';
            const answer = await attempt(() => changeProject(project.id, { badges }), done);
            if (answer === undefined) box.checked = !badges;
          }}
        />
        Badges that anyone may see, without a key
      </label>
      {project.badges &&
        environments.value.map(({ id, name, slug }) => {
          const badge = `${location.origin}/api/badges/projects/${project.slug}/environments/${slug}`;
          return (
            <div key={id} class="badge">
              <img src={badge} alt={`Badge of ${name}`} height={20} />
              <Copyable
                label={`the Markdown of ${name}’s badge`}
                text={`[![${name}](${badge})](${location.origin}/?environment=${slug})`}
              />
            </div>
          );
        })}
    </>
  );
}

type Wish = 'stop_on_close' | 'check_runs' | 'cancel_ci';

const WISHES: Record<Wish, { label: string; on: string; off: string }> = {
  stop_on_close: {
    label: 'A pull request that is closed or merged stops the runs of its branch',
    on: 'A closed pull request stops its runs.',
    off: 'A closed pull request stops nothing.',
  },
  check_runs: {
    label: 'Each run is a check run at GitHub',
    on: 'Runs are check runs from now on.',
    off: 'Nothing more is written to GitHub.',
  },
  cancel_ci: {
    label: 'The workflow run of a cancelled run that nobody stops is cancelled, too',
    on: 'GitHub cancels what nobody stops.',
    off: 'GitHub cancels nothing.',
  },
};

function Checkbox({ project, wish }: { project: Project; wish: Wish }) {
  const { label, on, off } = WISHES[wish];
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={project[wish] ?? false}
        onChange={async (event) => {
          const box = event.currentTarget;
          const wanted = box.checked;
          const answer = await attempt(() => changeProject(project.id, { [wish]: wanted }), wanted ? on : off);
          if (answer === undefined) box.checked = !wanted;
        }}
      />
      {label}
    </label>
  );
}

function Repository({ project }: { project: Project }) {
  return (
    <>
      <p>
        Repository{' '}
        <Name
          value={project.repo_name ?? ''}
          what="repository"
          save={(repo_name) => attempt(() => changeProject(project.id, { repo_name }), 'The repository is set.')}
        />
      </p>
      {project.repo_name && (
        <>
          <Checkbox project={project} wish="stop_on_close" />
          <Checkbox project={project} wish="check_runs" />
          <Checkbox project={project} wish="cancel_ci" />
        </>
      )}
      {project.github_failures?.map(({ setting, since, turned_off_at, answer, failure }) => (
        <p key={setting} class="sub" role="status">
          GitHub has not taken {setting === 'check_runs' ? 'check runs' : 'the order to cancel'} since <At at={since} />
          {turned_off_at ? ', so this was turned off. ' : '. '}
          The last answer: <code>{answer ?? failure}</code>
        </p>
      ))}
    </>
  );
}

const Retention = ({ project: { id, retention_days } }: { project: Project }) => (
  <>
    <Form
      button="Save"
      send={async (form) => {
        const days = Number(textOf(form, 'retention_days'));
        const done = days ? 'Older runs are archived from now on.' : 'Runs are kept for ever.';
        return (await attempt(() => changeProject(id, { retention_days: days }), done)) !== undefined;
      }}
    >
      <label>
        <span>Keep runs for so many days (0: for ever)</span>
        <input
          name="retention_days"
          type="number"
          required
          min={0}
          max={3650}
          step={1}
          defaultValue={String(retention_days)}
        />
      </label>
    </Form>
    <p class="sub">
      Older ones that are over move to the archive: lists leave them out, and each is still opened by its number.
      Without an archive they stay, unless the service is set to delete them.
    </p>
  </>
);

export const ProjectSettings = ({ project }: { project: Project }) => (
  <section aria-labelledby="project">
    <h2 id="project">Project</h2>
    <div class="card section">
      <Name
        value={project.name}
        what="project"
        save={(name) => attempt(() => changeProject(project.id, { name }), 'Renamed.')}
      />
      <p class="sub">
        <code>{project.slug}</code> · number {project.id}
      </p>
      <Limit project={project} />
      <Retention project={project} />
      <Repository project={project} />
      <Badges project={project} />
    </div>
  </section>
);

export const NewProject = () => (
  <details class="card section">
    <summary>Another project</summary>
    <Form
      button="Create"
      send={async (form) => {
        const repository = textOf(form, 'repo_name');
        const body = {
          name: textOf(form, 'name'),
          slug: textOf(form, 'slug'),
          ...(repository ? { repo_name: repository } : {}),
        };
        const made = await attempt(
          () => createProject(body),
          'The project is there. It needs an environment and a key.',
        );
        return made !== undefined;
      }}
    >
      <label>
        <span>Name</span>
        <input name="name" required maxLength={255} placeholder="Shop" />
      </label>
      <Slug label="Name in URLs" placeholder="shop" />
      <label>
        <span>Repository (optional)</span>
        <input name="repo_name" maxLength={255} placeholder="acme/shop" />
      </label>
    </Form>
  </details>
);
