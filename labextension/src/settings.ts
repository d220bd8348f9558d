// The settings, as schema/plugin.json has them.

import type { ISettingRegistry } from '@jupyterlab/settingregistry';

const ID = 'pgcellar-labextension:plugin';

export interface Settings {
  /** Outputs that are out of date are dimmed. */
  readonly dimStale: boolean;
  /** What a cell will run in is prepared when somebody begins to edit it. */
  readonly anticipate: boolean;
}

export const DEFAULTS: Settings = { dimStale: true, anticipate: true };

/** Take the settings, and take them again whenever they change. */
export async function follow(
  registry: ISettingRegistry,
  take: (settings: Settings) => void
): Promise<void> {
  const loaded = await registry.load(ID);
  const tell = (): void => take({ ...DEFAULTS, ...(loaded.composite as Partial<Settings>) });
  loaded.changed.connect(tell);
  tell();
}
