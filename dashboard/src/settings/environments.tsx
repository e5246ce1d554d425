import { attempt, changeEnvironment, createEnvironment, environments, type Project } from './admin';
import { Form, Name, Slug, textOf } from './fields';

export const Environments = ({ project }: { project: Project }) => (
  <section aria-labelledby="environments">
    <h2 id="environments">Environments</h2>
    <div class="card">
      <ul class="rows">
        {environments.value.map(({ id, name, slug, disabled }) => (
          <li key={id}>
            <Name
              value={name}
              what="environment"
              save={(to) => attempt(() => changeEnvironment(id, { name: to }), 'Renamed.')}
            />
            <code class="sub">{slug}</code>
            {disabled && <span class="sub odd">disabled: it takes no new runs</span>}
            <button
              type="button"
              class="end"
              aria-label={`${disabled ? 'Enable' : 'Disable'} environment ${name}`}
              onClick={() => {
                const said = disabled ? `${name} takes runs again.` : `${name} takes no new runs.`;
                void attempt(() => changeEnvironment(id, { disabled: !disabled }), said);
              }}
            >
              {disabled ? 'Enable' : 'Disable'}
            </button>
          </li>
        ))}
        {environments.value.length === 0 && <li class="soft">None yet: a run needs one to belong to.</li>}
      </ul>
      <div class="foot">
        <Form
          button="Add"
          send={async (form) => {
            const body = { name: textOf(form, 'name'), slug: textOf(form, 'slug') };
            const made = await attempt(() => createEnvironment(project.id, body), `${body.name} is there.`);
            return made !== undefined;
          }}
        >
          <label>
            <span>Name</span>
            <input name="name" required maxLength={255} placeholder="Staging" />
          </label>
          <Slug label="Name in commands" placeholder="staging" />
        </Form>
      </div>
    </div>
  </section>
);
