#!/bin/bash
# Records what real BGP daemons send. Run as root; makes a network of its own:
#   unshare --mount --pid --net --fork --kill-child --mount-proc ./record.sh OUT
# Each daemon speaks with BIRD over a veth pair, is asked for its routes again, and is shut down with a reason.
set -u
out=$1
mount -t tmpfs none /run
mkdir -p /run/netns /run/x
for n in a b; do ip netns add $n; ip -n $n link set lo up; done
ip link add va netns a type veth peer name vb netns b
for n in a b; do ip netns exec $n sh -c 'echo 0 > /proc/sys/net/ipv6/conf/all/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo 0 > /proc/sys/net/ipv6/conf/v'$n'/accept_dad'; ip -n $n link set v$n up; done
ip -n a addr add 10.77.0.1/24 dev va; ip -n a addr add fd77::1/64 dev va nodad
ip -n b addr add 10.77.0.2/24 dev vb; ip -n b addr add fd77::2/64 dev vb nodad
d=/run/x
start() { ip netns exec a tcpdump -i va -U -w $out/$1.pcap tcp port 179 2>/dev/null & T=$!; sleep 0.5; }
stop() { sleep 1; kill $T; wait $T 2>/dev/null; }
bird_a() { cat > $d/a.conf <<END
router id 10.77.0.1; protocol device {}
protocol static s4 { ipv4; route 192.0.2.0/24 unreachable; route 198.51.100.7/32 unreachable; }
protocol static s6 { ipv6; route 2001:db8:1::/48 unreachable; }
filter fout { bgp_community.add((64501,100)); bgp_large_community.add((64501,1,2)); bgp_ext_community.add((rt,64501,5)); bgp_med = 50; accept; }
protocol bgp p { local 10.77.0.1 as $1; neighbor 10.77.0.2 as $2; graceful restart on; connect delay time 1; error wait time 1,4; $3
  ipv4 { import all; export filter fout; $4 }; ipv6 { import all; export filter fout; }; }
END
ip netns exec a bird -c $d/a.conf -s $d/a.ctl -P $d/a.pid; }
until_up() { for i in $(seq 100); do birdc -s $d/a.ctl show protocols p 2>&1 | grep -q Established && break; sleep 0.2; done; sleep 3; birdc -s $d/a.ctl show protocols p | tail -1; birdc -s $d/a.ctl reload in p >/dev/null; sleep 1; }
quit_a() { birdc -s $d/a.ctl 'disable p "maintenance: rack 7"' >/dev/null; sleep 1; birdc -s $d/a.ctl down >/dev/null; sleep 0.5; }

echo bird; start bird
bird_a 64501 4200000001 "" "extended next hop on;"
cat > $d/b.conf <<END
router id 10.77.0.2; protocol device {}
protocol static s4 { ipv4; route 203.0.113.0/25 unreachable; }
protocol static s6 { ipv6; route 2001:db8:2::1/128 unreachable; }
protocol bgp p { local 10.77.0.2 as 4200000001; neighbor 10.77.0.1 as 64501; enable extended messages on; ipv4 { import all; export all; add paths rx; }; ipv6 { import all; export all; }; }
END
ip netns exec b bird -c $d/b.conf -s $d/b.ctl -P $d/b.pid; until_up
sed -i 's/route 203.0.113.0.25 unreachable;//; s/route 2001:db8:2::1.128 unreachable;//' $d/b.conf; birdc -s $d/b.ctl configure >/dev/null; sleep 1
quit_a; birdc -s $d/b.ctl down >/dev/null; stop

echo frr; start frr
bird_a 64501 64502 "enable extended messages on;" ""
f=/run/frr; install -d -o frr -g frr -m 775 $f; touch $f/vtysh.conf
cat > $f/frr.conf <<END
router bgp 64502
 bgp router-id 10.77.0.2
 no bgp ebgp-requires-policy
 bgp graceful-restart
 neighbor 10.77.0.1 remote-as 64501
 address-family ipv4 unicast
  network 203.0.113.0/25
  no neighbor 10.77.0.1 send-community
 address-family ipv6 unicast
  network 2001:db8:2::1/128
  neighbor 10.77.0.1 activate
 exit-address-family
no bgp network import-check
END
sed -i 's/^no bgp network import-check//; s/^ bgp router-id.*/&\n no bgp network import-check/' $f/frr.conf
for x in zebra bgpd; do ip netns exec b /usr/lib/frr/$x -d -z $f/zserv.api --vty_socket $f -i $f/$x.pid -P 0 -f /dev/null --log file:$f/$x.log; done
ip netns exec b vtysh --vty_socket $f --config_dir $f -b 2>&1 | head; until_up
v() { ip netns exec b vtysh --vty_socket $f --config_dir $f "$@" >/dev/null 2>&1; }
v -c 'clear bgp 10.77.0.1 soft in'; sleep 1
v -c 'conf t' -c 'router bgp 64502' -c 'address-family ipv4 unicast' -c 'no network 203.0.113.0/25' -c 'address-family ipv6 unicast' -c 'no network 2001:db8:2::1/128'; sleep 2
v -c 'conf t' -c 'router bgp 64502' -c 'neighbor 10.77.0.1 shutdown message fibre works until 14:00'; sleep 1
quit_a; kill $(cat $f/bgpd.pid) $(cat $f/zebra.pid); stop

echo gobgp; start gobgp
bird_a 64501 64503 "" ""
cat > $d/g.toml <<END
[global.config]
as = 64503
router-id = "10.77.0.2"
[[neighbors]]
[neighbors.config]
neighbor-address = "10.77.0.1"
peer-as = 64501
[neighbors.graceful-restart.config]
enabled = true
restart-time = 120
notification-enabled = true
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv4-unicast"
[neighbors.afi-safis.mp-graceful-restart.config]
enabled = true
[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "ipv6-unicast"
END
ip netns exec b gobgpd -f $d/g.toml --pprof-disable >$d/g.log 2>&1 & G=$!
sleep 2
g() { ip netns exec b gobgp "$@" >>$d/g.log 2>&1; }
g global rib add 203.0.113.0/25 origin egp med 7 community no-export large-community 64503:1:2
g global rib add -a ipv6 2001:db8:2::1/128 aigp metric 5
until_up
g neighbor 10.77.0.1 softresetin; sleep 1
g global rib del 203.0.113.0/25; g global rib del -a ipv6 2001:db8:2::1/128; sleep 1
g neighbor 10.77.0.1 shutdown --reason "new switch"; sleep 1
quit_a; kill $G; stop

echo exabgp; start exabgp
bird_a 64501 64501 "" ""
cat > $d/e.conf <<END
neighbor 10.77.0.1 { router-id 10.77.0.2; local-address 10.77.0.2; local-as 64501; peer-as 64501; hold-time 9;
 capability { graceful-restart 60; route-refresh; operational; add-path receive; }
 family { ipv4 unicast; ipv6 unicast; }
 static { route 203.0.113.0/25 next-hop 10.77.0.2 local-preference 200 as-path [ 65000 [ 65001 65002 ] ] atomic-aggregate aggregator ( 65000:10.0.0.9 ) originator-id 10.0.0.8 cluster-list [ 10.0.0.7 ] extended-community [ target:64501:9 ] attribute [ 0x63 0xc0 0x0102 ];
  route 2001:db8:2::1/128 next-hop fd77::2; } }
END
ip netns exec b env exabgp.daemon.user=root exabgp.api.cli=false exabgp.daemon.daemonize=false exabgp.log.destination=$d/e.log exabgp $d/e.conf & E=$!
until_up; quit_a; kill $E; stop; tail -3 $d/e.log

echo openbgpd; start openbgpd
bird_a 64501 64504 "" ""
mkdir -p /run/openbgpd; cat > $d/o.conf <<END
AS 64504
router-id 10.77.0.2
fib-update no
network 203.0.113.0/25
network 2001:db8:2::1/128
neighbor 10.77.0.1 {
 remote-as 64501
 announce IPv4 unicast
 announce IPv6 unicast
 announce refresh yes
 announce enhanced refresh yes
}
allow from any
allow to any
socket "$d/o.sock"
END
chmod 600 $d/o.conf; ip netns exec b bgpd -d -f $d/o.conf >$d/o.log 2>&1 & O=$!
until_up; ip netns exec b bgpctl -s $d/o.sock neighbor 10.77.0.1 refresh >/dev/null; sleep 1
ip netns exec b bgpctl -s $d/o.sock neighbor 10.77.0.1 down "see ticket 42" >/dev/null; sleep 1
quit_a; kill $O; stop; tail -2 $d/o.log
exit 0
