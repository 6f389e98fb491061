/** The metrics of the gateway, which dashboards and rules of operators use, and which docs/monitoring.md lists. */
export const documentedMetrics: Readonly<
  Record<string, { readonly type: string; readonly labels: readonly string[] }>
> = {
  sallyport_token_reviews_total: { type: 'counter', labels: ['outcome', 'version'] },
  sallyport_token_review_duration_seconds: { type: 'histogram', labels: ['outcome'] },
  sallyport_authenticator_decisions_total: {
    type: 'counter',
    labels: ['authenticator', 'decision'],
  },
  sallyport_authenticator_duration_seconds: {
    type: 'histogram',
    labels: ['authenticator', 'decision'],
  },
  sallyport_authenticator_rejections_total: {
    type: 'counter',
    labels: ['authenticator', 'reason'],
  },
  sallyport_authenticator_circuit_state: { type: 'gauge', labels: ['authenticator'] },
  sallyport_cache_lookups_total: { type: 'counter', labels: ['authenticator', 'result', 'tier'] },
  sallyport_cache_entries: { type: 'gauge', labels: ['tier'] },
  sallyport_coalesced_lookups_total: { type: 'counter', labels: [] },
  sallyport_revocation_list_age_seconds: { type: 'gauge', labels: [] },
  sallyport_revocations_total: { type: 'counter', labels: ['kind'] },
  sallyport_blocks: { type: 'gauge', labels: [] },
  sallyport_revocation_list_foreign_keys_total: { type: 'counter', labels: [] },
  sallyport_redis_errors_total: { type: 'counter', labels: ['use'] },
  sallyport_lockout_foreign_records_total: { type: 'counter', labels: [] },
  sallyport_lockout_subjects: { type: 'gauge', labels: ['authenticator'] },
  sallyport_in_flight_token_reviews: { type: 'gauge', labels: [] },
  sallyport_config_reloads_total: { type: 'counter', labels: ['result'] },
  sallyport_config_last_reload_successful: { type: 'gauge', labels: [] },
  sallyport_certificate_expiry_timestamp_seconds: { type: 'gauge', labels: ['certificate'] },
  sallyport_audit_lines_dropped_total: { type: 'counter', labels: [] },
  sallyport_build_info: { type: 'gauge', labels: ['node', 'openssl', 'version'] },
  sallyport_login_requests_total: { type: 'counter', labels: ['action', 'outcome'] },
  sallyport_login_duration_seconds: { type: 'histogram', labels: ['outcome'] },
  sallyport_in_flight_login_requests: { type: 'gauge', labels: [] },
  sallyport_session_revalidations_total: { type: 'counter', labels: ['authenticator', 'result'] },
  sallyport_login_provider_requests_total: {
    type: 'counter',
    labels: ['call', 'provider', 'result'],
  },
  sallyport_directory_lookups_total: { type: 'counter', labels: ['authenticator', 'result'] },
};
