package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

var errNotPublic = errors.New("its address is not public: if the receiver is in your own network, allow it with --webhook-allow-private")

// notPublic are the ranges that are not reachable over the public internet, in addition to those
// that package netip has methods for, and the ranges that embed another address, which would be
// reached instead. For IPv6, only 2000::/3 is public.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this host
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"), // the platform address of Azure: agents and metadata
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; metadata of Oracle Cloud
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved and broadcast
	netip.MustParsePrefix("2001::/23"),        // protocol assignments; Teredo embeds an IPv4 address
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("2002::/16"),        // 6to4 embeds an IPv4 address
	netip.MustParsePrefix("3fff::/20"),        // documentation
}

// publicIPv6 has all IPv6 addresses that were ever assigned. Other addresses are loopback,
// unique-local (including fd00:ec2::254, the metadata of AWS), link-local, multicast, or translated
// IPv4 addresses.
var publicIPv6 = netip.MustParsePrefix("2000::/3")

func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() {
		return false
	}
	for _, prefix := range notPublic {
		if prefix.Contains(address) {
			return false
		}
	}
	return address.Is4() || publicIPv6.Contains(address)
}

// refusePrivate is the Control function of a [net.Dialer]. It checks the address of the connection,
// after names are resolved.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", address, err)
	}
	if !isPublic(to.Addr()) {
		return fmt.Errorf("refusing to connect to %s: %w", to.Addr(), errNotPublic)
	}
	return nil
}

// refusePrivateHost checks a receiver that is reached through a proxy. A name that does not resolve
// here, as in a network that can only reach the outside through the proxy, is left to the proxy.
func refusePrivateHost(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // The proxy may be able to resolve it.
	}
	for _, address := range addresses {
		if !isPublic(address) {
			return fmt.Errorf("refusing to send to %s: %w", address.Unmap(), errNotPublic)
		}
	}
	return nil
}
