# ufw's rules of a machine that lets some ports in and forwards.
. "${0%/*}/prelude.sh"
cp -a /etc/ufw /etc/default .
mount --bind ufw /etc/ufw
mount --bind default /etc/default
ufw default deny incoming
ufw default allow routed
ufw allow proto tcp to any port 8080
ufw allow 53
ufw limit 22/tcp
ufw insert 1 deny from 10.1.0.2 to any port 80 proto tcp
ufw deny in on toc to any port 443
ufw reject out to any port 54
ufw route deny in on toc out on tos to 10.2.0.2 port 443
ufw logging low
ufw --force enable
