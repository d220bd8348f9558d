// A member of a class: a row of the table, and the details below it.

import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Bar, QuotaTable } from '../quotas';
import { span } from '../units';
import { askExtension, confirmReset, confirmStop } from './dialogs';
import type { TeachingModel } from './model';
import type { Member, Progress } from './records';
import { isStuck, latest, statementSeconds } from './rows';

/** The columns that details take. */
const COLUMNS = 6;

interface Props {
  readonly member: Member;
  readonly model: TeachingModel;
  readonly trans: TranslationBundle;
  /** How long ago something was. */
  readonly ago: (at: string) => string;
}

/** The rows of a member. */
export function MemberRows(props: Props): React.JSX.Element {
  const { member, model, trans, ago } = props;
  const opened = model.opened === member.subject;
  const last = latest(member);
  return (
    <tbody className={isStuck(member) ? 'pgc-mod-stuck' : ''} data-subject={member.subject}>
      <tr>
        <th scope="row">
          <button aria-expanded={opened} onClick={() => model.open(member.subject)}>
            {opened ? (
              <caretDownIcon.react tag="span" stylesheet="menuItem" />
            ) : (
              <caretRightIcon.react tag="span" stylesheet="menuItem" />
            )}
            <span className="pgc-Class-name">{member.name}</span>
            {member.role === 'teacher' && <span className="pgc-Tag">{trans.__('teacher')}</span>}
          </button>
        </th>
        <td>
          <span className={member.online ? 'pgc-Dot pgc-mod-on' : 'pgc-Dot'} aria-hidden="true" />
          {presence(member, trans, ago)}
        </td>
        <td>{last && <HowFar progress={last} trans={trans} />}</td>
        <td>{last && <LastRun progress={last} trans={trans} ago={ago} />}</td>
        <td>{sandbox(member, trans)}</td>
        <td>{member.sandbox && <Acts {...props} />}</td>
      </tr>
      {opened && (
        <tr>
          <td colSpan={COLUMNS}>
            <Details {...props} />
          </td>
        </tr>
      )}
    </tbody>
  );
}

function presence(member: Member, trans: TranslationBundle, ago: (at: string) => string): string {
  if (member.online) {
    return trans.__('now');
  }
  return member.last_seen ? ago(member.last_seen) : trans.__('never');
}

function HowFar(props: {
  readonly progress: Progress;
  readonly trans: TranslationBundle;
}): React.JSX.Element {
  const { progress, trans } = props;
  return (
    <div className="pgc-Class-far" title={progress.notebook}>
      <span>{trans.__('cell %1 of %2', progress.furthest, progress.cells)}</span>
      <Bar share={progress.furthest / Math.max(progress.cells, 1)} />
      <span className="pgc-Class-notebook">{progress.notebook}</span>
    </div>
  );
}

function LastRun(props: {
  readonly progress: Progress;
  readonly trans: TranslationBundle;
  readonly ago: (at: string) => string;
}): React.JSX.Element {
  const { progress, trans, ago } = props;
  return (
    <>
      <span className="pgc-Outcome" data-pgc-status={progress.status}>
        {outcome(progress, trans)}
      </span>{' '}
      <time dateTime={progress.at} title={new Date(progress.at).toLocaleString()}>
        {ago(progress.at)}
      </time>
    </>
  );
}

function outcome(progress: Progress, trans: TranslationBundle): string {
  switch (progress.status) {
    case 'done':
      return trans.__('cell %1 done', progress.number);
    case 'failed':
      return progress.sqlstate
        ? trans.__('cell %1 failed (%2)', progress.number, progress.sqlstate)
        : trans.__('cell %1 failed', progress.number);
    case 'cancelled':
      return trans.__('cell %1 cancelled', progress.number);
    default:
      return progress.status;
  }
}

function sandbox(member: Member, trans: TranslationBundle): React.JSX.Element | null {
  const { sandbox: standing } = member;
  if (!standing) {
    return null;
  }
  const seconds = statementSeconds(member);
  const notes: string[] = [];
  if (standing.status === 'waiting') {
    notes.push(trans.__('for %1', span(standing.waiting_seconds, trans)));
  } else if (member.busy?.length) {
    notes.push(trans.__('statement %1', span(seconds, trans)));
  } else if (standing.status === 'running') {
    notes.push(trans.__('idle %1', span(standing.idle_seconds, trans)));
  }
  if (member.queued) {
    notes.push(trans._n('%1 run waits', '%1 runs wait', member.queued));
  }
  if (standing.extended_seconds > 0) {
    notes.push(trans.__('extended, %1 left', span(standing.extended_seconds, trans)));
  }
  return (
    <>
      {isStuck(member) && <span className="pgc-Tag pgc-mod-stuck">{trans.__('stuck')}</span>}
      <span>{status(member, trans)}</span>
      {notes.length > 0 && <small>{notes.join(' · ')}</small>}
    </>
  );
}

function status(member: Member, trans: TranslationBundle): string {
  switch (member.sandbox?.status) {
    case 'running':
      return member.busy?.length ? trans.__('busy') : trans.__('running');
    case 'stopped':
      return trans.__('stopped');
    case 'waiting':
      return trans.__('waiting to start');
    case 'none':
      return trans.__('none');
    default:
      return member.sandbox?.status ?? '';
  }
}

function Acts({ member, model, trans }: Props): React.JSX.Element {
  const { subject, name } = member;
  const busy = model.busy.has(subject);
  const none = member.sandbox?.status === 'none';
  const stop = async (): Promise<void> => {
    if (await confirmStop(name, trans)) {
      await model.act(subject, 'stop', {}, trans.__('The sandbox of %1 was stopped.', name));
    }
  };
  const reset = async (): Promise<void> => {
    if (await confirmReset(name, trans)) {
      const said = trans.__('The sandbox of %1 was reset.', name);
      await model.act(subject, 'reset', { confirm: true }, said);
    }
  };
  const extend = async (): Promise<void> => {
    const asked = await askExtension(name, trans);
    if (asked) {
      const said = trans.__('The sandbox of %1 is extended for %2 min.', name, asked.minutes);
      await model.extend(subject, asked, said);
    }
  };
  const act = (
    label: string,
    title: string,
    off: boolean,
    does: () => Promise<void>
  ): React.JSX.Element => (
    <button
      className="pgc-Button jp-mod-styled"
      title={title}
      aria-label={trans.__('%1: %2', label, name)}
      disabled={busy || off}
      onClick={() => void does()}
    >
      {label}
    </button>
  );
  return (
    <div className="pgc-Class-acts">
      {act(
        trans.__('Stop…'),
        trans.__('Cancel what runs, and stop the sandbox; its states stay'),
        none || member.sandbox?.status === 'stopped',
        stop
      )}
      {act(
        trans.__('Extend…'),
        trans.__('Let the sandbox be idle, and give more, for a while'),
        false,
        extend
      )}
      {act(trans.__('Reset…'), trans.__('Remove the sandbox with all its states'), none, reset)}
    </div>
  );
}

function Details({ member, model, trans, ago }: Props): React.JSX.Element {
  if (!member.sandbox) {
    return <p>{trans.__('What another teacher does is theirs.')}</p>;
  }
  return (
    <div className="pgc-Class-details">
      {model.quotas ? (
        <QuotaTable quotas={model.quotas} trans={trans} caption={trans.__('Quotas used')} />
      ) : (
        <p>{trans.__('Loading…')}</p>
      )}
      <Notebooks member={member} trans={trans} ago={ago} />
      <Runs member={member} trans={trans} />
    </div>
  );
}

function Notebooks(props: {
  readonly member: Member;
  readonly trans: TranslationBundle;
  readonly ago: (at: string) => string;
}): React.JSX.Element {
  const { member, trans, ago } = props;
  const found = member.notebooks ?? [];
  return (
    <table>
      <caption>{trans.__('Notebooks run last')}</caption>
      <tbody>
        {found.map(each => (
          <tr key={each.notebook}>
            <th scope="row">{each.notebook}</th>
            <td>{trans.__('cell %1 of %2', each.furthest, each.cells)}</td>
            <td>
              <LastRun progress={each} trans={trans} ago={ago} />
            </td>
          </tr>
        ))}
        {found.length === 0 && (
          <tr>
            <td>{trans.__('none yet')}</td>
          </tr>
        )}
      </tbody>
    </table>
  );
}

function Runs(props: {
  readonly member: Member;
  readonly trans: TranslationBundle;
}): React.JSX.Element | null {
  const { member, trans } = props;
  const found = member.busy ?? [];
  if (found.length === 0) {
    return null;
  }
  return (
    <table>
      <caption>{trans.__('Under way')}</caption>
      <tbody>
        {found.map(run => (
          <tr key={run.run}>
            <th scope="row">{run.notebook}</th>
            <td>{trans.__('cell %1', run.cell)}</td>
            <td>
              {trans.__(
                'for %1, its statement for %2',
                span(run.seconds, trans),
                span(run.statement_seconds, trans)
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
