#!/bin/sh
# A hold ends with the gateway that held: after a reboot in the middle of a rollout, what Docker brings back must be reached.
# A gateway with more slots than the one before gives each of them a server.
hosts=/state/active/hosts
if [ -e $hosts/0 ]; then
  known=$(ls $hosts | wc -l)
  slot=0
  while [ $slot -lt "$GATEWAY_SLOTS" ]; do
    [ -e $hosts/$slot ] || cp $hosts/$((slot % known)) $hosts/$slot
    slot=$((slot + 1))
  done
  cp $hosts/* /state/active/
fi
rm -f /state/held
# Keys of a gateway that wants none any more, and a certificate, with its private key, that it was given for another mode of TLS.
[ "$GATEWAY_ACCESS" = key ] || rm -f /state/access/keys
[ "$GATEWAY_TLS" = files ] || rm -f /state/access/certificate.pem
# A given certificate comes after the container (scripts/access.ts).
while [ "$GATEWAY_TLS" = files ] && [ ! -e /state/access/certificate.pem ]; do sleep 0.2; done
# Requests wait for the only server there is; of several, one that fails is asked again after this time.
[ "$GATEWAY_SLOTS" -le 1 ] || export GATEWAY_FAIL_DURATION=250ms
exec caddy run --config /etc/caddy/Caddyfile
