package outbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/thawline/thaw/internal/signing"
)

const (
	// Timeout is the time limit of an attempt, from resolving the name to the end of the response.
	Timeout = 15 * time.Second
	// maxHeader and maxBody are how much of a response is read, in bytes. The start of a body is
	// enough to show an error.
	maxHeader = 16 << 10
	maxBody   = 4 << 10
)

// Config of a [Sender].
type Config struct {
	// URL of the receiver: https, without a user or password. Required.
	URL string
	// Secrets each sign every message: one, or two during a rotation. A secret is "whsec_" and 24
	// to 64 bytes in base64. Required.
	Secrets []string
	// AllowPrivate allows http, and receivers at addresses that are not public: loopback, private
	// networks, link-local.
	AllowPrivate bool
	// Proxy returns the proxy for a request, or nil for none. Default: [http.ProxyFromEnvironment],
	// which uses HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
	Proxy func(*http.Request) (*url.URL, error)
}

// A Message is one event for the platform.
type Message struct {
	// ID is the same in every attempt, so that the receiver can detect duplicates.
	ID   string
	Type string
	// At is when it happened.
	At time.Time
	// Instance is the name of the database's instance (thaw.instance), so that the receiver can tell
	// staging from production. Empty: it has none yet.
	Instance string
	// Data is a JSON object.
	Data json.RawMessage
}

// A Sender sends messages to one receiver. It is safe for concurrent use.
type Sender struct {
	url string
	// checkHost is the receiver's host if messages go through a proxy and the host must be public,
	// else "".
	checkHost string
	proxy     string // host of the proxy, for error messages; "" if there is none
	keys      signing.Keys
	client    *http.Client
}

// New returns a sender, or an error if the URL or a secret is invalid. The error does not contain
// the secret.
func New(c Config) (*Sender, error) {
	if err := checkURL(c.URL, c.AllowPrivate); err != nil {
		return nil, err
	}
	if n := len(c.Secrets); n == 0 || n > 2 {
		return nil, fmt.Errorf("webhook secrets: there are %d: give 1, or 2 while one replaces the other", n)
	}
	proxy, err := proxyOf(c)
	if err != nil {
		return nil, err
	}
	s := &Sender{url: c.URL, client: newClient(c.AllowPrivate, proxy)}
	if proxy != nil {
		s.proxy = proxy.Host
		if u, err := url.Parse(c.URL); err == nil && !c.AllowPrivate {
			s.checkHost = u.Hostname()
		}
	}
	if s.keys, err = signing.ParseKeys(c.Secrets); err != nil {
		return nil, fmt.Errorf("webhook %w", err)
	}
	return s, nil
}

// URL returns the URL of the receiver.
func (s *Sender) URL() string { return s.url }

// Masked returns the URL of a receiver for people and logs: without query and user, which may be
// secrets.
func Masked(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(invalid URL)"
	}
	hadQuery := u.RawQuery != "" || u.ForceQuery
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	if hadQuery {
		return u.String() + "?…"
	}
	return u.String()
}

// checkURL rejects a URL that can never work. What the host name resolves to is checked in Send.
func checkURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse quotes the URL, which may contain a password.
		return errors.New("webhook URL: it is not a URL: write it like https://platform.example.com/thaw")
	}
	switch {
	case u.User != nil:
		return errors.New("webhook URL: it has a user or a password in it, which would be stored in the database and logged: remove them, receivers verify the signature")
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "":
		return fmt.Errorf("webhook URL %q: it must begin with https:// and a host", Masked(text))
	case u.Scheme == "http" && !allowPrivate:
		return fmt.Errorf("webhook URL %q: it must begin with https:// (http is for private networks, with --webhook-allow-private)", Masked(text))
	case u.Fragment != "":
		return fmt.Errorf("webhook URL %q: it must not have a fragment (#)", Masked(text))
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !isPublic(address) {
		return fmt.Errorf("webhook URL %q: %w", Masked(text), errNotPublic)
	}
	return nil
}

// proxyOf returns the proxy for the receiver, or nil for none.
func proxyOf(c Config) (*url.URL, error) {
	find := c.Proxy
	if find == nil {
		find = http.ProxyFromEnvironment
	}
	request, err := http.NewRequest(http.MethodPost, c.URL, http.NoBody) //nolint:noctx // It is not sent.
	if err != nil {
		return nil, errors.New("webhook URL: it is not a URL: write it like https://platform.example.com/thaw")
	}
	proxy, err := find(request)
	if err != nil {
		// The error quotes the variable, which may contain a password.
		return nil, errors.New("the proxy for webhooks: HTTPS_PROXY or HTTP_PROXY is not a URL: write it like http://proxy.example.com:3128")
	}
	return proxy, nil
}

// newClient returns a client that connects only to public addresses, unless private ones are
// allowed. With a proxy, it connects only to the proxy, at any address, and Send checks the
// receiver.
func newClient(allowPrivate bool, proxy *url.URL) *http.Client {
	dialer := &net.Dialer{Timeout: Timeout}
	if !allowPrivate && proxy == nil {
		dialer.Control = refusePrivate
	}
	return &http.Client{
		Timeout: Timeout,
		Transport: &http.Transport{
			Proxy:                  http.ProxyURL(proxy),
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           4,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Send makes one attempt and returns its outcome, also if there was no response.
func (s *Sender) Send(ctx context.Context, m Message) Answer {
	body, err := json.Marshal(struct {
		Type      string          `json:"type"`
		Timestamp time.Time       `json:"timestamp"`
		Instance  string          `json:"instance,omitempty"`
		Data      json.RawMessage `json:"data"`
	}{m.Type, m.At.UTC(), m.Instance, m.Data})
	if err != nil {
		return unanswered(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return unanswered(err)
	}
	// The time is that of the attempt, because receivers reject old signatures.
	if request.Header, err = s.keys.Sign(m.ID, time.Now(), body); err != nil {
		return unanswered(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "thaw")
	if s.checkHost != "" {
		if err := refusePrivateHost(ctx, s.checkHost); err != nil {
			return unanswered(err)
		}
	}
	response, err := s.client.Do(request)
	if err != nil {
		answer := unanswered(err)
		if s.proxy != "" {
			answer.Problem = "through the proxy " + clean(s.proxy) + ": " + answer.Problem
		}
		return answer
	}
	defer response.Body.Close()
	return answered(response)
}
