// A webhook that does for each LDAP login what kubeguard/guard does (auth/providers/ldap/ldap.go): a connection of its
// own with a TLS handshake, a bind as the service account, a search for the user, a bind as the user, a bind as the
// service account again, a search for the user again, and a search for the groups. It has no metrics and no log, so it
// costs less than guard. It reads its settings on standard input, as JSON, and prints its URL.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

type settings struct {
	// PEM: the server's certificate and key, and the authority of its clients.
	Cert, Key, CA string
	// HOST:PORT of the directory's LDAPS, and its authority in PEM.
	Address, DirectoryCA string
	BindDN, BindPassword string
	UserBase, GroupBase  string
}

type review struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Spec       *spec          `json:"spec,omitempty"`
	Status     map[string]any `json:"status,omitempty"`
}

type spec struct {
	Token string `json:"token"`
}

type authenticator struct {
	settings
	roots *x509.CertPool
}

func (a authenticator) check(token string) (string, []string, error) {
	text, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", nil, err
	}
	name, password, found := strings.Cut(string(text), ":")
	if !found || password == "" {
		return "", nil, errors.New("not a login")
	}
	conn, err := ldap.DialURL("ldaps://"+a.Address, ldap.DialWithTLSConfig(&tls.Config{RootCAs: a.roots}))
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	if err := conn.Bind(a.BindDN, a.BindPassword); err != nil {
		return "", nil, err
	}
	dn, err := a.userDN(conn, name)
	if err != nil {
		return "", nil, err
	}
	if err := conn.Bind(dn, password); err != nil {
		return "", nil, err
	}
	if err := conn.Bind(a.BindDN, a.BindPassword); err != nil {
		return "", nil, err
	}
	if dn, err = a.userDN(conn, name); err != nil {
		return "", nil, err
	}
	found2, err := conn.Search(request(a.GroupBase, "(member="+ldap.EscapeFilter(dn)+")", "cn"))
	if err != nil {
		return "", nil, err
	}
	groups := []string{}
	for _, entry := range found2.Entries {
		groups = append(groups, entry.GetAttributeValue("cn"))
	}
	return name, groups, nil
}

func (a authenticator) userDN(conn *ldap.Conn, name string) (string, error) {
	found, err := conn.Search(request(a.UserBase, "(uid="+ldap.EscapeFilter(name)+")", "uid"))
	if err != nil {
		return "", err
	}
	if len(found.Entries) != 1 {
		return "", fmt.Errorf("%d users", len(found.Entries))
	}
	return found.Entries[0].DN, nil
}

func request(base, filter, attribute string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, []string{attribute}, nil)
}

func (a authenticator) ServeHTTP(writer http.ResponseWriter, incoming *http.Request) {
	var asked review
	if err := json.NewDecoder(incoming.Body).Decode(&asked); err != nil || asked.Spec == nil {
		http.Error(writer, "not a TokenReview", http.StatusBadRequest)
		return
	}
	status := map[string]any{"authenticated": false}
	if name, groups, err := a.check(asked.Spec.Token); err == nil {
		status = map[string]any{"authenticated": true, "user": map[string]any{"username": name, "groups": groups}}
	} else {
		status["error"] = err.Error()
	}
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(review{APIVersion: asked.APIVersion, Kind: asked.Kind, Status: status})
}

func pool(pem string) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(pem))
	return roots
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	var s settings
	if err := json.NewDecoder(os.Stdin).Decode(&s); err != nil {
		panic(err)
	}
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Printf("https://%s\n", listener.Addr())
	server := http.Server{
		Handler: authenticator{s, pool(s.DirectoryCA)},
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{must(tls.X509KeyPair([]byte(s.Cert), []byte(s.Key)))},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    pool(s.CA),
		},
	}
	panic(server.ServeTLS(listener, "", ""))
}
