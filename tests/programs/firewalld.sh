# firewalld's rules of two zones, kept by FORM: nftables or iptables.
. "${0%/*}/prelude.sh"
cp -a /etc/firewalld conf
mkdir -p conf/zones
sed -i "s/^FirewallBackend=.*/FirewallBackend=$form/" conf/firewalld.conf
cat >conf/zones/trusted.xml <<END
<zone target="ACCEPT">
  <interface name="tos"/>
</zone>
END
cat >conf/zones/public.xml <<END
<zone>
  <interface name="toc"/>
  <service name="dns"/>
  <port protocol="tcp" port="8080"/>
  <masquerade/>
  <forward-port port="8443" protocol="tcp" to-port="443"/>
  <forward-port port="30080" protocol="tcp" to-port="80" to-addr="10.2.0.2"/>
  <rule family="ipv4">
    <source address="10.1.0.2"/><port port="80" protocol="tcp"/><reject/>
  </rule>
  <rule family="ipv6">
    <source address="fd01::2"/><port port="80" protocol="tcp"/><reject/>
  </rule>
</zone>
END
# A bus of its own, on which nobody is asked who may do what.
cat >bus.conf <<END
<busconfig>
  <type>system</type>
  <listen>unix:path=$PWD/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
END
export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$PWD/bus"
dbus-daemon --nofork --nopidfile --config-file="$PWD/bus.conf" >bus.log 2>&1 &
bus=$!
within_reason test -S bus
firewalld --nofork --nopid --system-config "$PWD/conf" --log-file "$PWD/log" >said 2>&1 &
# It takes its rules away when it ends as it likes to.
trap 'kill -9 $! $bus; wait' EXIT
within_reason firewall-cmd --state
