// The plugins of the extension.

import notebooks from './plugins/notebooks';
import status from './plugins/status';

export default [notebooks, status];
