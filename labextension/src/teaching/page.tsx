// The teacher’s page: a class, its members, and what can be done for them.

import { Time } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';
import {
  closeIcon,
  HTMLSelect,
  InputGroup,
  refreshIcon,
  VDomRenderer
} from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { classIcon } from '../icons';
import { MemberRows } from './member';
import { TeachingModel } from './model';
import { type Column, isStuck } from './rows';

/** See the module. */
export class TeachingPage extends VDomRenderer<TeachingModel> {
  constructor(private readonly _trans: TranslationBundle) {
    // The model asks whether the page is seen, and there is no page yet.
    super(new TeachingModel(() => this.isVisible, _trans));
    this.id = 'pgcellar-class';
    this.title.label = _trans.__('Class');
    this.title.icon = classIcon;
    this.title.closable = true;
    this.addClass('pgc-Class');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', _trans.__('Class'));
  }

  override dispose(): void {
    this.model.dispose();
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    void this.model.refresh();
  }

  protected override onAfterShow(): void {
    void this.model.refresh();
  }

  protected override render(): React.JSX.Element {
    const { model } = this;
    const trans = this._trans;
    return (
      <>
        <Head model={model} trans={trans} />
        {model.error && (
          <p className="pgc-Message pgc-mod-failed" role="alert">
            {model.error}
          </p>
        )}
        <div role="status" aria-live="polite">
          {model.told && <Told model={model} trans={trans} />}
        </div>
        <Body model={model} trans={trans} />
      </>
    );
  }
}

interface Props {
  readonly model: TeachingModel;
  readonly trans: TranslationBundle;
}

function Head({ model, trans }: Props): React.JSX.Element {
  const members = model.members ?? [];
  const online = members.filter(member => member.online).length;
  const stuck = members.filter(isStuck).length;
  return (
    <div className="pgc-Class-head">
      <HTMLSelect
        aria-label={trans.__('Class')}
        value={model.chosen}
        disabled={!model.classes?.length}
        onChange={event => model.choose(event.target.value)}
        options={(model.classes ?? []).map(each => ({ value: each.id, label: each.name }))}
      />
      <InputGroup
        type="search"
        rightIcon="ui-components:search"
        aria-label={trans.__('Search members')}
        placeholder={trans.__('Search members')}
        value={model.sought}
        onChange={event => {
          model.sought = event.target.value;
        }}
      />
      <span className="pgc-Class-counts">
        <span>{trans._n('%1 member', '%1 members', members.length)}</span>
        <span>{trans.__('%1 online', online)}</span>
        <span className={stuck ? 'pgc-mod-stuck' : ''}>{trans.__('%1 stuck', stuck)}</span>
      </span>
      <span className="pgc-Class-at">
        {model.at && trans.__('as of %1', model.at.toLocaleTimeString())}
      </span>
      <button
        className="pgc-Button jp-mod-styled jp-mod-minimal"
        title={trans.__('Look again now; otherwise this page does so every 10 seconds')}
        onClick={() => void model.refresh()}
      >
        <refreshIcon.react tag="span" stylesheet="menuItem" />
        {trans.__('Refresh')}
      </button>
    </div>
  );
}

function Told({ model, trans }: Props): React.JSX.Element {
  const failed = model.told?.failed ? 'pgc-mod-failed' : '';
  return (
    <p className={`pgc-Message ${failed}`}>
      {model.told?.text}
      <button
        className="pgc-Button jp-mod-styled jp-mod-minimal"
        title={trans.__('Dismiss')}
        aria-label={trans.__('Dismiss')}
        onClick={() => model.tell(null)}
      >
        <closeIcon.react tag="span" stylesheet="menuItem" />
      </button>
    </p>
  );
}

function Body({ model, trans }: Props): React.JSX.Element {
  if (!model.classes) {
    return <p className="pgc-Class-none">{model.error ? '' : trans.__('Loading…')}</p>;
  }
  if (model.classes.length === 0) {
    return (
      <p className="pgc-Class-none">
        {trans.__('You teach no class. An administrator makes one and names you its teacher.')}
      </p>
    );
  }
  if (!model.members) {
    return <p className="pgc-Class-none">{model.error ? '' : trans.__('Loading…')}</p>;
  }
  const found = model.rows;
  return (
    <div className="pgc-Class-members">
      <table
        onPointerEnter={() => {
          model.pointed = true;
        }}
        onPointerLeave={() => {
          model.pointed = false;
        }}
      >
        <thead>
          <tr>
            <Heading column="name" label={trans.__('Name')} model={model} />
            <Heading column="seen" label={trans.__('Online')} model={model} />
            <Heading column="progress" label={trans.__('How far')} model={model} />
            <Heading column="ran" label={trans.__('Last run')} model={model} />
            <Heading column="sandbox" label={trans.__('Sandbox')} model={model} />
            <th scope="col">{trans.__('Help')}</th>
          </tr>
        </thead>
        {found.map(member => (
          <MemberRows
            key={member.subject}
            member={member}
            model={model}
            trans={trans}
            ago={at => Time.formatHuman(at)}
          />
        ))}
      </table>
      {found.length === 0 && (
        <p className="pgc-Class-none">
          {model.sought
            ? trans.__('Nobody here is like “%1”.', model.sought)
            : trans.__('Nobody has joined this class yet.')}
        </p>
      )}
    </div>
  );
}

function Heading(props: {
  readonly column: Column;
  readonly label: string;
  readonly model: TeachingModel;
}): React.JSX.Element {
  const { column, label, model } = props;
  const { order } = model;
  const mine = order.column === column;
  // Whoever looks for trouble, or for who was here last, wants those first.
  const first = column === 'seen' || column === 'ran' || column === 'sandbox';
  const kind = order.descending ? 'descending' : 'ascending';
  return (
    <th scope="col" aria-sort={mine ? kind : 'none'}>
      <button
        onClick={() => {
          model.order = { column, descending: mine ? !order.descending : first };
        }}
      >
        {label}
        <span aria-hidden="true" className="pgc-Class-arrow">
          {mine && (order.descending ? '▾' : '▴')}
        </span>
      </button>
    </th>
  );
}
