/** The one function that the gates use of jStat, which ships no types. */
declare module "jstat" {
  const jstat: {
    readonly studentt: {
      /** Quantile of Student's t: the value that a t variable with `degreesOfFreedom` stays under with probability `p`. */
      inv(p: number, degreesOfFreedom: number): number;
    };
  };
  export default jstat;
}
