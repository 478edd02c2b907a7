package outbound

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for text, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.0.1": true, "172.32.0.1": true,
		"2606:4700:4700::1111": true, "2a00:1450:4001::1": true, "::ffff:8.8.8.8": true,

		"127.0.0.1": false, "127.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "168.63.129.16": false, "100.100.100.200": false, "192.0.0.192": false, "100.64.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"198.18.0.1": false, "192.0.2.1": false, "198.51.100.1": false, "203.0.113.1": false,

		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "fec0::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false, "2001:db8::1": false, "100::1": false,
	} {
		require.Equal(t, public, isPublic(netip.MustParseAddr(text)), text)
	}
}

// Whatever the notation or name of a private address, no connection reaches a receiver on loopback.
func TestPrivateAddressesAreRefusedInAnyNotation(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	connected := make(chan struct{}, 100)
	server.Config.ConnState = func(net.Conn, http.ConnState) { connected <- struct{}{} }
	server.StartTLS()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)

	for host, mustBeRefused := range map[string]bool{
		"127.0.0.1": true, "localhost": true, "[::1]": true, "[::ffff:127.0.0.1]": true, "[::ffff:7f00:1]": true, "0.0.0.0": true, "[::]": true,
		// Go treats these as names. Some system resolvers treat them as numbers.
		"2130706433": false, "0x7f000001": false, "0x7f.1": false, "0177.0.0.1": false, "127.1": false,
	} {
		client := newClient(false, nil)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+net.JoinHostPort(trim(host), port), nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		require.Error(t, err, host)
		if mustBeRefused {
			require.ErrorIs(t, err, errNotPublic, host)
		}
	}
	require.Empty(t, connected, "a connection got through")
}

// trim removes the brackets that a URL needs.
func trim(host string) string {
	if host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}

// The address is checked when connecting, because only then is it known what the name resolves to.
func TestNameThatResolvesToLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkURL("https://localhost/", false), "a name is not checked in advance")
	s := &Sender{url: "https://localhost/", client: newClient(false, nil)}
	answer := s.Send(t.Context(), Message{ID: "msg_1", Data: []byte("{}")})
	require.Zero(t, answer.Status)
	require.Contains(t, answer.Problem, "--webhook-allow-private")
}

func TestPrivateAddressesCanBeAllowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	s := &Sender{url: server.URL, client: newClient(true, nil)}
	require.Equal(t, Delivered, s.Send(t.Context(), Message{ID: "msg_1", Data: []byte("{}")}).Verdict)
}
