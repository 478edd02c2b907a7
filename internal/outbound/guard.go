package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

var errNotPublic = errors.New("its address is not a public one: if the receiver is in your own network, allow it with --webhook-allow-private")

// notPublic are the ranges that are not reached over the public internet, beside those that package netip knows by name; and
// those that carry another address in themselves, which would be reached instead. IPv6 is public in 2000::/3 alone.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this host
	netip.MustParsePrefix("100.64.0.0/10"),    // carrier-grade NAT; the metadata of Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"), // the platform's own address in Azure: agents and metadata
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; the metadata of Oracle Cloud
	netip.MustParsePrefix("192.0.2.0/24"),     // documentation
	netip.MustParsePrefix("192.88.99.0/24"),   // relays of 6to4
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),  // documentation
	netip.MustParsePrefix("203.0.113.0/24"),   // documentation
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, and broadcast
	netip.MustParsePrefix("2001::/23"),        // protocol assignments; Teredo carries an IPv4 address
	netip.MustParsePrefix("2001:db8::/32"),    // documentation
	netip.MustParsePrefix("2002::/16"),        // 6to4 carries an IPv4 address
	netip.MustParsePrefix("3fff::/20"),        // documentation
}

// publicIPv6 has all addresses that were ever given out: what is not in it is loopback, unique-local (also fd00:ec2::254, the
// metadata of AWS), link-local, multicast, or a translation of an IPv4 address.
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

// refusePrivate is a [net.Dialer]'s Control: it sees the address that is about to be connected to, whatever led there.
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

// refusePrivateHost looks at a receiver behind a proxy, which connects to it in our place. A name that is not known here, as in a
// network whose only way out is the proxy, is the proxy's to resolve and to refuse.
func refusePrivateHost(ctx context.Context, host string) error {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil //nolint:nilerr // The proxy may know it.
	}
	for _, address := range addresses {
		if !isPublic(address) {
			return fmt.Errorf("refusing to send to %s: %w", address.Unmap(), errNotPublic)
		}
	}
	return nil
}
