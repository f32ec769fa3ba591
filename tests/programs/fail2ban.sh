# fail2ban's rules of three jails with banned addresses, by the actions of FORM.
. "${0%/*}/prelude.sh"
cp -a /etc/fail2ban conf
rm -f conf/jail.d/*
touch log
jail() { printf '[%s]\nenabled = true\nlogpath = %s/log\n%s\n' "$1" "$PWD" "$2"; }
{
  printf '[DEFAULT]\nbackend = polling\nallowipv6 = yes\n'
  printf 'banaction = %s-multiport\nbanaction_allports = %s-allports\n' "$form" "$form"
  jail sshd ''
  jail postfix 'port = 80,8080'
  jail recidive ''
} >conf/jail.d/here.conf
sed -i 's/^dbfile *=.*/dbfile = None/' conf/fail2ban.conf
fail2ban-server -xf -c conf -s "$PWD/socket" -p "$PWD/pid" --logtarget said start >said 2>&1 &
# It takes its rules away when it ends as it likes to.
trap 'kill -9 $!; wait' EXIT
client() { fail2ban-client -c conf -s socket -p pid "$@"; }
within_reason client ping
client set postfix banip 10.1.0.2 fd01::2
client set sshd banip 10.1.0.2 fd01::2
client set recidive banip 10.2.0.2 fd02::2
# It says so before it does so.
banned() {
  rules=$(iptables -S && ip6tables -S && nft list ruleset)
  [ "$(echo "$rules" | grep -cE '10\.1\.0\.2|fd01::2|10\.2\.0\.2|fd02::2')" -ge 6 ]
}
within_reason banned
