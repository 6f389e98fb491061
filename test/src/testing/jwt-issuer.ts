export * from '@sallyport/test-servers/jwt-issuer';
