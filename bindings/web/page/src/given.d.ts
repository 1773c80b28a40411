declare module "given:*" {
  const text: string;
  export default text;
}
