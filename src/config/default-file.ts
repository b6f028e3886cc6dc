/** Read when neither --config nor LFSAZSYNC_CONFIG names another. */
export const DEFAULT_CONFIG_FILE = '/etc/lfsazsync/config.yaml';
