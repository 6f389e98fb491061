// The client that the gateway is there for is written in Go: this sends a request with Go's net/http, as
// kube-apiserver's client does, and prints what came of it. It reads its order on standard input, and answers on
// standard output, both as JSON.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

type order struct {
	URL, Method string
	HTTP2       bool
	// PEM. Empty with a URL of plain HTTP.
	Authority, Certificate, Key string
	Headers                     map[string]string
	// The body begins with Body, then come as many spaces as Padding says, then what Rest says: "" ends it, "waits"
	// sends nothing more and does not end, "trickles" sends a space every 50 ms, "endless" sends as fast as it can.
	Body    string
	Padding int64
	Rest    string
	// The Content-Length; 0 sends none, for a body of unknown length.
	Length int64
	// How often it is sent, one after the other on open connections. The last answer is reported, or the first error.
	Times int
}

type report struct {
	Status   int         `json:"status"`
	Protocol string      `json:"protocol"`
	Headers  http.Header `json:"headers"`
	Body     string      `json:"body"`
	Error    string      `json:"error"`
	// How many connections were made.
	Connections int `json:"connections"`
}

// spaces has one for each byte that is read, and waits before each read.
type spaces struct {
	wait  time.Duration
	ended chan struct{}
}

func (s spaces) Read(buffer []byte) (int, error) {
	if s.wait > 0 {
		select {
		case <-time.After(s.wait):
			buffer = buffer[:1]
		case <-s.ended:
			return 0, io.ErrClosedPipe
		}
	}
	for index := range buffer {
		buffer[index] = ' '
	}
	return len(buffer), nil
}

// body is closed by net/http once it wants no more of it: a read that waits must end then.
type body struct {
	io.Reader
	ended chan struct{}
}

func (b body) Close() error {
	select {
	case <-b.ended:
	default:
		close(b.ended)
	}
	return nil
}

func bodyOf(o order) io.ReadCloser {
	ended := make(chan struct{})
	readers := []io.Reader{strings.NewReader(o.Body), io.LimitReader(spaces{}, o.Padding)}
	switch o.Rest {
	case "waits":
		readers = append(readers, spaces{time.Hour, ended})
	case "trickles":
		readers = append(readers, spaces{50 * time.Millisecond, ended})
	case "endless":
		readers = append(readers, spaces{})
	}
	return body{io.MultiReader(readers...), ended}
}

func transportOf(o order) (*http.Transport, error) {
	transport := &http.Transport{ForceAttemptHTTP2: o.HTTP2}
	if !o.HTTP2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	if o.Authority == "" {
		return transport, nil
	}
	pair, err := tls.X509KeyPair([]byte(o.Certificate), []byte(o.Key))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(o.Authority))
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	return transport, nil
}

func send(client http.Client, o order) (report, error) {
	request, err := http.NewRequest(o.Method, o.URL, bodyOf(o))
	if err != nil {
		return report{}, err
	}
	request.ContentLength = o.Length
	if o.Length == 0 {
		request.ContentLength = -1
	}
	for name, value := range o.Headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return report{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return report{Status: response.StatusCode, Protocol: response.Proto, Headers: response.Header, Body: string(text)}, err
}

func sendAll(o order) (result report, err error) {
	transport, err := transportOf(o)
	if err != nil {
		return report{}, err
	}
	connections := 0
	var dialer net.Dialer
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connections++
		return dialer.DialContext(ctx, network, address)
	}
	client := http.Client{Transport: transport, Timeout: 30 * time.Second}
	for sent := 0; sent < o.Times && err == nil; sent++ {
		result, err = send(client, o)
	}
	result.Connections = connections
	return result, err
}

func main() {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		panic(err)
	}
	result, err := sendAll(o)
	if err != nil {
		result.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		panic(err)
	}
}
