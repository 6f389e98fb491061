export const help = `Logs in to Kubernetes clusters behind Sallyport: the password is typed once, and can be taken back.

Usage: kubectl sallyport COMMAND

  init URL [CLUSTER]  adds a cluster of the login server to your kubeconfig
  login               asks for your password, and starts a session
  logout              ends the session. --all: all of your sessions, on all devices
  whoami              who you are, your groups, and how long the session lasts
  sessions            your sessions, on all devices
  token               what kubectl runs. It asks for your password when there is no session

All but init work on the current context of the kubeconfig:
  --context NAME      another context
  --kubeconfig FILE   another kubeconfig. Default: the files in KUBECONFIG, else ~/.kube/config
  --url URL --cluster NAME
                      the login server and its name for the cluster, in place of a context
  --ca-file FILE      the CA of the login server (PEM)
  --username NAME     your name. Default: SALLYPORT_USERNAME, else you are asked

init:
  --all               all clusters of the login server
  --context NAME      the name of the context. Default: that of the cluster
  --keep-context      does not make the new context the current one
  --username NAME     a context of its own for this account
  --no-cluster-info   for clients that do not hand over the cluster's data: writes it into the arguments

login and token:
  --device NAME       how you find this session in a list. Default: SALLYPORT_DEVICE, else the host name
login:
  --password-stdin    reads the password from standard input
whoami and sessions:
  -o json             JSON

SALLYPORT_PASSWORD_FILE  a file with the password, for CI
KUBECACHEDIR             where sessions are cached, in the folder sallyport
NODE_USE_ENV_PROXY=1     uses HTTPS_PROXY and NO_PROXY to reach the login server

Exit codes: 0 done; 1 not logged in, or refused; 2 wrong arguments or files; 3 login server unavailable; 130 Ctrl-C
`;
