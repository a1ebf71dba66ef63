#!/bin/bash
# Whether the service is ready. No Node.js and no curl: under load their start alone would use up the time that Docker gives.
set -u
exec 3<> "/dev/tcp/127.0.0.1/${PORT:-3000}" || exit 1
printf 'GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3 || exit 1
[ "$status" = 200 ]
