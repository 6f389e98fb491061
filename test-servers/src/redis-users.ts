/**
 * The users with the least rights, as lines of an ACL file, by their heading in docs/redis.md. Tests of each package start Redis with
 * them; `redis-users.test.ts` of test-docs compares them with the page.
 */
export const redisUsers = {
  'Close the default user': ['user default off resetpass ~* &* +@all'],
  'One user for everything': [
    'user sallyport on >PASSWORD resetkeys ~sallyport:* -@all +getrange +pttl +echo +set +del +hset +hdel +hlen +hgetall +pexpire +time +eval +scan +zadd +zrange +zrem +role +wait +info',
  ],
  'The cache': [
    'user sallyport-cache on >PASSWORD resetkeys ~sallyport:cache* ~sallyport:lockout:* ~sallyport:{revocations}:* -@all +getrange +pttl +echo +set +del +hset +hdel +hlen +hgetall +pexpire +time +eval +info',
  ],
  'Tokens, with a gateway that only reads': [
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +getrange +pttl +echo',
    'user gateway-admin on >PASSWORD resetkeys ~sallyport:token:* -@all +getrange +pttl +echo +scan +set +eval +pexpire +role +wait +info',
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +eval_ro +hlen +hkeys +hstrlen +hgetall +pttl +echo',
    'user gateway-admin on >PASSWORD resetkeys ~sallyport:token:* -@all +eval_ro +hlen +hkeys +hstrlen +hgetall +getrange +pttl +echo +scan +eval +exists +hexists +hset +pexpire +role +wait +info',
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +getrange +pttl +echo (~sallyport:token:*:last-use +set)',
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +eval_ro +hlen +hkeys +hstrlen +hgetall +pttl +echo (~sallyport:token:*:last-use +set)',
  ],
  'Sessions, with users of their own': [
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +getrange +pttl +echo +pexpire',
    'user gateway-admin on >PASSWORD resetkeys ~sallyport:token:* -@all +getrange +pttl +echo +scan +set +eval +pexpire +role +wait +zadd +zrange +zrem +info',
    'user gateway on >PASSWORD resetkeys ~sallyport:token:* -@all +eval_ro +hlen +hkeys +hstrlen +hgetall +pttl +echo +pexpire',
    'user gateway-admin on >PASSWORD resetkeys ~sallyport:token:* -@all +eval_ro +hlen +hkeys +hstrlen +hgetall +getrange +pttl +echo +scan +eval +exists +hexists +hset +pexpire +role +wait +zadd +zrange +zrem +info',
  ],
  'Second factors': [
    'user factors on >PASSWORD resetkeys ~sallyport:factor:* -@all +getrange +pttl +echo +set +del +eval +scan +info',
  ],
  Sentinels: [
    'user gateway on >PASSWORD resetchannels &+switch-master +sentinel|get-master-addr-by-name +sentinel|sentinels +subscribe',
  ],
} as const;
