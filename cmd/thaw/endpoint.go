package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// maxFetched is the maximum size of a record in bytes, after decompression.
	maxFetched = 1 << 30
	// maxRedirects is the maximum number of redirects, all of them within one host.
	maxRedirects = 5
)

// fetchedTypes are the accepted content types of a record. Without a content type the format is
// detected from the content.
var fetchedTypes = []string{
	"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json", "text/csv", "application/csv",
	"text/plain", "application/octet-stream", "",
}

// An endpoint serves a record of deliveries over HTTP.
type endpoint struct {
	url *url.URL
	// header and secret are sent with each request unless header is empty.
	header, secret string
	// within limits the duration of the whole transfer, max its size in bytes.
	within time.Duration
	max    int64
}

// parseEndpoint parses the URL of an endpoint. Its errors do not quote the URL, which may contain a
// secret.
func parseEndpoint(text string) (*url.URL, error) {
	to, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not a valid URL")
	case to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, errors.New("it must begin with https:// or http:// and have a host")
	case to.User != nil:
		return nil, errors.New("it must not contain a user name or a password: pass the secret in an environment variable, with --token-env")
	}
	to.Fragment = ""
	return to, nil
}

// name returns the URL for messages, without its query, which may be a secret.
func (p endpoint) name() string {
	shown := url.URL{Scheme: p.url.Scheme, Host: p.url.Host, Path: p.url.Path}
	return shown.String()
}

// secretOf reads a secret from an environment variable. Its errors do not quote the secret.
func secretOf(variable string) (string, error) {
	secret := strings.TrimSpace(os.Getenv(variable))
	switch {
	case secret == "":
		return "", fmt.Errorf("environment variable %s, named by --token-env, is not set: set it to the token of the endpoint", variable)
	case strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", fmt.Errorf("environment variable %s cannot be sent in a header: it must be a single line of printable ASCII", variable)
	}
	return secret, nil
}

// fetch downloads the record into a temporary file, which is removed when it is closed. It returns
// only after the whole record has arrived, so an interrupted transfer applies nothing.
func (p endpoint) fetch(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	response, err := p.get(ctx)
	if err != nil {
		return nil, p.timeOr(ctx, err)
	}
	defer response.Body.Close()
	if err := p.check(response); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "thaw-record-*")
	if err != nil {
		return nil, fmt.Errorf("creating a temporary file: %w", err)
	}
	stored := tempFile{file}
	n, err := io.Copy(file, io.LimitReader(response.Body, p.max+1))
	switch {
	case err != nil:
		err = p.timeOr(ctx, fmt.Errorf("the transfer was interrupted and nothing was applied: %w", err))
	case n > p.max:
		err = p.tooLarge()
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, stored.Close())
	}
	return stored, nil
}

// A tempFile is removed on Close.
type tempFile struct{ *os.File }

func (f tempFile) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }

func (p endpoint) get(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	request.Header.Set("Accept", "application/x-ndjson, application/json, text/csv")
	request.Header.Set("User-Agent", "thaw")
	if p.header != "" {
		request.Header.Set(p.header, p.secret)
	}
	client := http.Client{CheckRedirect: p.follow}
	response, err := client.Do(request)
	if err != nil {
		return nil, withoutURL(err)
	}
	return response, nil
}

// follow refuses redirects to another host: the secret must not be sent there, and its record must
// not be applied.
func (p endpoint) follow(next *http.Request, before []*http.Request) error {
	switch {
	case next.URL.Scheme != p.url.Scheme || next.URL.Host != p.url.Host:
		return fmt.Errorf("it redirects to %s://%s, and redirects to another host are not followed: if that host belongs to the platform, pass its URL to --from",
			next.URL.Scheme, next.URL.Host)
	case len(before) > maxRedirects:
		return fmt.Errorf("it redirected more than %d times", maxRedirects)
	}
	return nil
}

// check returns an error if the response is not a record. The error does not show the body, which
// may repeat the secret.
func (p endpoint) check(response *http.Response) error {
	var advice string
	switch code := response.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		advice = "check the token in the variable named by --token-env"
	case code == http.StatusNotFound || code == http.StatusGone:
		advice = "check the URL"
	case code == http.StatusTooManyRequests || code >= 500:
		advice = "try again later; replaying a record twice is safe"
	default:
		advice = "it must answer 200 with the record"
	}
	if advice != "" {
		return fmt.Errorf("it answered %d %s: %s", response.StatusCode, http.StatusText(response.StatusCode), advice)
	}
	given := response.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(given)
	if err != nil && given != "" || !slices.Contains(fetchedTypes, kind) {
		return fmt.Errorf("it answered with content type %q: it must send JSON Lines (application/x-ndjson) or CSV (text/csv)", given)
	}
	if response.ContentLength > p.max {
		return p.tooLarge()
	}
	return nil
}

func (p endpoint) tooLarge() error {
	return fmt.Errorf("it sends more than %d bytes: request a shorter period, or download the record and replay the file", p.max)
}

// timeOr reports a timeout in plain words. Otherwise it returns err.
func (p endpoint) timeOr(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it did not send the whole record within %s: request a shorter period, or raise --timeout", p.within)
	}
	return err
}

// withoutURL removes the URL from an error of package http, because its query may be a secret.
func withoutURL(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err
	}
	return err
}
