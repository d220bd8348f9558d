// Requests to the gateway; see docs/rest.md.

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';

import { AskError } from './tokens';
import type { Problem } from './wire';

const API = 'pgcellar/api/v1';

/** Ask the gateway something, and have its answer; rejects with an `AskError`. */
export async function request<T>(
  path: string,
  trans: TranslationBundle,
  init: RequestInit = {}
): Promise<T> {
  const settings = ServerConnection.makeSettings();
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(
      URLExt.join(settings.baseUrl, API, path),
      init,
      settings
    );
  } catch {
    throw new AskError(
      problem(503, trans.__('Jupyter Server does not answer.'), trans.__('Is it still running?'))
    );
  }
  const body = await read(response);
  if (!response.ok) {
    throw new AskError(isProblem(body) ? body : unlike(response.status, trans));
  }
  return body as T;
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

function isProblem(body: unknown): body is Problem {
  return typeof (body as Problem | null)?.detail === 'string';
}

/** What is told where the answer is not the gateway's. */
function unlike(status: number, trans: TranslationBundle): Problem {
  return status === 404
    ? problem(
        404,
        trans.__('This Jupyter Server has no pgcellar gateway.'),
        trans.__('Is pgcellar_server enabled?')
      )
    : problem(
        status,
        trans.__('Jupyter Server answered with status %1.', status),
        trans.__('Load the page anew.')
      );
}

function problem(status: number, detail: string, hint: string): Problem {
  return { type: 'urn:pgcellar:PC000', title: detail, status, code: 'PC000', detail, hint };
}
