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
	// maxFetched is how many bytes an endpoint may send, unpacked.
	maxFetched = 1 << 30
	// maxRedirects is how many redirects within its own host are followed.
	maxRedirects = 5
)

// fetchedTypes are the content types of a record. What is sent without a type is taken as its content says.
var fetchedTypes = []string{
	"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json", "text/csv", "application/csv",
	"text/plain", "application/octet-stream", "",
}

// An endpoint is where a platform serves a record over HTTP.
type endpoint struct {
	url *url.URL
	// header and secret are sent with each request; an empty header: nothing is.
	header, secret string
	// within bounds the whole transfer, max its bytes.
	within time.Duration
	max    int64
}

// parseEndpoint refuses what is no URL of an endpoint. Its errors do not repeat the URL, which may carry a secret.
func parseEndpoint(text string) (*url.URL, error) {
	to, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return nil, errors.New("it must begin with https:// or http:// and name a host")
	case to.User != nil:
		return nil, errors.New("it must not carry a user or a password: give the secret in an environment variable, with --token-env")
	}
	to.Fragment = ""
	return to, nil
}

// name is the URL as it is shown: a query may be a secret.
func (p endpoint) name() string {
	shown := url.URL{Scheme: p.url.Scheme, Host: p.url.Host, Path: p.url.Path}
	return shown.String()
}

// secretOf reads a secret from an environment variable. Its errors do not repeat it.
func secretOf(variable string) (string, error) {
	secret := strings.TrimSpace(os.Getenv(variable))
	switch {
	case secret == "":
		return "", fmt.Errorf("environment variable %s, which --token-env names, is not set: set it to the token of the endpoint", variable)
	case strings.ContainsFunc(secret, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", fmt.Errorf("the value of environment variable %s cannot be sent in a header: it must be one line of ASCII", variable)
	}
	return secret, nil
}

// fetch stores what the endpoint serves in a temporary file, which is gone when it is closed. Nothing is read from it before all has
// arrived, so that a transfer that breaks off applies nothing.
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
		return nil, fmt.Errorf("making a temporary file for it: %w", err)
	}
	stored := tempFile{file}
	n, err := io.Copy(file, io.LimitReader(response.Body, p.max+1))
	switch {
	case err != nil:
		err = p.timeOr(ctx, fmt.Errorf("the transfer broke off, and nothing was applied: %w", err))
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

// A tempFile is removed when it is closed.
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

// follow keeps the secret, and what is applied, to the host that was named.
func (p endpoint) follow(next *http.Request, before []*http.Request) error {
	switch {
	case next.URL.Scheme != p.url.Scheme || next.URL.Host != p.url.Host:
		return fmt.Errorf("it redirects to %s://%s, and redirects to another host are not followed: give --from the URL there, if it is the platform's",
			next.URL.Scheme, next.URL.Host)
	case len(before) > maxRedirects:
		return fmt.Errorf("it redirected more than %d times", maxRedirects)
	}
	return nil
}

// check refuses an answer that is no record. What the answer says is not shown: it may repeat the secret.
func (p endpoint) check(response *http.Response) error {
	var advice string
	switch code := response.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		advice = "check the token, and the variable that --token-env names"
	case code == http.StatusNotFound || code == http.StatusGone:
		advice = "check the URL"
	case code == http.StatusTooManyRequests || code >= 500:
		advice = "try again later; any part of a record can be replayed any number of times"
	default:
		advice = "it must answer 200 with the record"
	}
	if advice != "" {
		return fmt.Errorf("it answered %d %s: %s", response.StatusCode, http.StatusText(response.StatusCode), advice)
	}
	given := response.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(given)
	if err != nil && given != "" || !slices.Contains(fetchedTypes, kind) {
		return fmt.Errorf("it answered with the type %q: it must send JSON Lines (application/x-ndjson) or CSV (text/csv)", given)
	}
	if response.ContentLength > p.max {
		return p.tooLarge()
	}
	return nil
}

func (p endpoint) tooLarge() error {
	return fmt.Errorf("it sends more than %d bytes: ask it for a shorter time, or store the record and replay the file", p.max)
}

// timeOr says that the time was up, which reads as some other error.
func (p endpoint) timeOr(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it did not send the whole record within %s: ask it for a shorter time, or give it longer with --timeout", p.within)
	}
	return err
}

// withoutURL takes the URL out of an error of package http: its query may be a secret.
func withoutURL(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		return inner.Err
	}
	return err
}
